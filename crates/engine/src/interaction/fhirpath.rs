//! `$fhirpath`: an expression on a resource that the caller brings or may read.

use std::borrow::Cow;
use std::cell::Cell;

use access::{Read as ReadAction, Target};
use base::{Code, ResourceId};
use bytes::Bytes;
use fhir::definitions::TypeId;
use fhir::json::{self, Doc, push_json_string};
use fhir::outcome::Outcome;
use fhir::path::operation::{Known, Question, Reply, Subject, Surroundings};
use fhir::path::{Moment, Types};
use fhir::search::terms::Terms;
use store::{PageRequest, Read};

use super::admit::is_blank;
use super::read::id_in_url;
use super::terms::LOOKED_UP_MAX;
use crate::answer::Answer;
use crate::failure::Failure;
use crate::form;
use crate::session::Session;

/// Rounds of reading what references lead to: each may bring references of its own.
const ROUNDS_MAX: usize = 8;

/// A resource that was asked for: type, id, and its bytes unless there is none to be seen.
type Fetched = (TypeId, ResourceId, Option<Bytes>);

/// What came out, the value sets that were known, and the steps that are left.
type Evaluated = (Result<Reply, Failure>, Terms, u64);

impl Session {
    /// Evaluates the expression in a Parameters resource. Everything that is read for it, the subject
    /// and what `resolve()` leads to, is read as the caller, one recorded read each; what the caller
    /// may not see is as if it were not there.
    ///
    /// # Errors
    /// `request-invalid`, `expression-invalid`, `expression-failed`, `limit-query`, `scope-missing`,
    /// and those of a read where the subject is a reference.
    pub async fn fhirpath(&self, body: &Bytes) -> Result<Answer, Failure> {
        self.may_operate("fhirpath").await?;
        let session = self.with_rights(self.rights.to_operate("fhirpath"));
        session.decide_any_read().await?;
        if is_blank(body) {
            return Err(Failure::of(Code::BodyEmpty));
        }
        session.answer_expression(body).await
    }

    /// The same about a stored resource: the expression in Parameters that name no resource, or
    /// `expression` and `context` in a query.
    ///
    /// # Errors
    /// As those of [`Self::fhirpath`].
    pub async fn fhirpath_of(
        &self,
        (type_name, id): (&str, &str),
        query: &str,
        body: &Bytes,
    ) -> Result<Answer, Failure> {
        let (type_id, id) = (self.type_id(type_name)?, id_in_url(id)?);
        // The right is checked before anything is understood.
        let target = Target::Instance(type_id, id.clone());
        let _ = self.permit::<ReadAction>(target).await?;
        let mut parameters = vec![parameter("resource", &format!("{type_name}/{id}"))];
        for (name, value) in form::pairs(query) {
            if matches!(&*name, "expression" | "context") {
                parameters.push(parameter(&name, &value));
            }
        }
        if !is_blank(body) {
            let doc = self.json(body)?;
            let text = |of: json::Value<'_>, name| {
                of.get(name)
                    .and_then(json::Value::as_str)
                    .map(Cow::into_owned)
            };
            if text(doc.root(), "resourceType").as_deref() != Some("Parameters") {
                let text = "the body of $fhirpath is a Parameters resource";
                return Err(Failure::new(Code::RequestInvalid, text));
            }
            let given = doc.root().get("parameter");
            for one in given.into_iter().flat_map(json::Value::items) {
                if text(one, "name").as_deref() == Some("resource") {
                    let text = "the resource is the one in the URL";
                    return Err(Failure::new(Code::RequestInvalid, text));
                }
                parameters.push(one.raw().to_owned());
            }
        }
        let parameters = parameters.join(",");
        let body = format!("{{\"resourceType\":\"Parameters\",\"parameter\":[{parameters}]}}");
        self.answer_expression(&body.into()).await
    }

    async fn answer_expression(&self, body: &Bytes) -> Result<Answer, Failure> {
        let subject = self.subject(body).await?;
        let references_max =
            usize::try_from(self.limits().fhirpath_references_max).unwrap_or(usize::MAX);
        let mut fetched: Vec<Fetched> = Vec::new();
        let mut terms = Terms::new(self.model(), self.limits().value_set_codes_max);
        let mut page = PageRequest {
            after: None,
            as_of: None,
            deadline: self.deadline(),
            asked: None,
        };
        let mut steps = self.limits().fhirpath_steps_max;
        for _ in 0..ROUNDS_MAX + LOOKED_UP_MAX {
            let (reply, known, left) = self
                .evaluate(body, subject.as_ref(), &fetched, terms, steps)
                .await?;
            (terms, steps) = (known, left);
            let reply = reply?;
            if reply.missing.is_empty() && reply.needs.is_empty() {
                return Ok(Answer::Document(reply.body.into()));
            }
            if fetched.len() + reply.missing.len() > references_max {
                let name = "fhirpath_references_max";
                let max = self.limits().fhirpath_references_max;
                return Err(Failure::limit(Code::LimitQuery, name, max));
            }
            for (type_id, id) in reply.missing {
                let bytes = self.visible(type_id, &id).await?;
                fetched.push((type_id, id, bytes));
            }
            for need in reply.needs {
                let found = self.held(&need, &mut page).await?;
                terms.bring(need, found);
            }
        }
        let text = "references, value sets and code systems lead to others too many times";
        Err(Failure::new(Code::LimitQuery, text))
    }

    /// Who may read nothing at all may not evaluate either.
    async fn decide_any_read(&self) -> Result<(), Failure> {
        self.permit::<ReadAction>(Target::Readable).await.map(drop)
    }

    /// The subject of the question where it is stored here.
    async fn subject(&self, body: &Bytes) -> Result<Option<Bytes>, Failure> {
        let (type_id, id) = {
            let doc = self.json(body)?;
            let question = Question::read(self.model(), doc.root())
                .map_err(|issue| Failure::from(Outcome::from(issue)))?;
            match question.subject {
                Subject::Stored(type_id, id) => (type_id, id),
                _ => return Ok(None),
            }
        };
        match self.read_stored(type_id, &id).await? {
            Read::Found(stored) => Ok(Some(stored.get().body.clone())),
            Read::Deleted(_) => Err(Failure::of(Code::Deleted)),
            Read::Absent => Err(Failure::of(Code::NotFound)),
        }
    }

    /// A resource that a reference leads to; nothing if there is none or the caller may not read it.
    async fn visible(&self, type_id: TypeId, id: &ResourceId) -> Result<Option<Bytes>, Failure> {
        match self.read_stored(type_id, id).await {
            Ok(Read::Found(stored)) => Ok(Some(stored.get().body.clone())),
            Ok(Read::Deleted(_) | Read::Absent) => Ok(None),
            Err(failure) if failure.code() == Code::ScopeMissing => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    fn json<'b>(&self, bytes: &'b [u8]) -> Result<Doc<'b>, Failure> {
        let depth_max = usize::try_from(self.limits().json_depth_max).unwrap_or(usize::MAX);
        json::parse(bytes, depth_max)
            .map_err(|error| Outcome::from(fhir::outcome::Issue::from(&error)).into())
    }

    /// One evaluation, beside the workers that serve requests; gives the value sets back, and the steps
    /// that are left.
    async fn evaluate(
        &self,
        body: &Bytes,
        subject: Option<&Bytes>,
        fetched: &[Fetched],
        terms: Terms,
        steps: u64,
    ) -> Result<Evaluated, Failure> {
        let (session, body) = (self.clone(), body.clone());
        let (subject, fetched) = (subject.cloned(), fetched.to_vec());
        self.compute(usize::MAX, move || {
            let left = Cell::new(steps);
            let reply = session.evaluated(&body, subject.as_ref(), &fetched, &terms, &left);
            Ok((reply, terms, left.get()))
        })
        .await
    }

    fn evaluated(
        &self,
        body: &[u8],
        stored: Option<&Bytes>,
        fetched: &[Fetched],
        terms: &Terms,
        steps: &Cell<u64>,
    ) -> Result<Reply, Failure> {
        let wrong = |issue| Failure::from(Outcome::from(issue));
        let doc = self.json(body)?;
        let question = Question::read(self.model(), doc.root()).map_err(wrong)?;
        let outer = match (&question.subject, stored) {
            (Subject::Text(text), _) => Some(self.json(text.as_bytes())?),
            (_, Some(stored)) => Some(self.json(stored)?),
            _ => None,
        };
        let subject = match &question.subject {
            Subject::Inline(value) => Some(*value),
            _ => outer.as_ref().map(Doc::root),
        };
        let mut known: Vec<Known<'_>> = Vec::with_capacity(fetched.len());
        for (type_id, id, bytes) in fetched {
            let doc = match bytes {
                Some(bytes) => Some(self.json(bytes)?),
                None => None,
            };
            known.push((*type_id, id.clone(), doc));
        }
        let base = self.links().fhir();
        let own_bases = [base.as_str()];
        let around = Surroundings {
            types: &Types::of(self.model()),
            known: &known,
            own_bases: &own_bases,
            terms,
            now: Moment::of_instant(self.request.at),
            steps,
            results_bytes_max: self.limits().page_bytes_max,
        };
        question.reply(&around, subject).map_err(wrong)
    }
}

fn parameter(name: &str, value: &str) -> String {
    let mut out = String::from("{\"name\":");
    push_json_string(name, &mut out);
    out.push_str(",\"valueString\":");
    push_json_string(value, &mut out);
    out.push('}');
    out
}
