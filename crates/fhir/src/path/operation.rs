//! `$fhirpath`: an expression evaluated on a resource, Parameters in and out, after the contract
//! of the FHIRPath Lab's server API.
//!
//! Knows no storage: resources that references lead to are handed in. What was asked for and is
//! not there is told, so that the caller can fetch it and ask again.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};

use base::limits::fixed::{
    FHIRPATH_EXPRESSION_BYTES_MAX, FHIRPATH_MADE_BYTES_MAX, FHIRPATH_MADE_MAX,
    FHIRPATH_MADE_ROUNDS_MAX, FHIRPATH_VARIABLES_MAX,
};
use base::{Code, ResourceId};

use super::host::{Environment, Host, Told};
use super::item::{Item, Node};
use super::make::TermsCall;
use super::moment::Moment;
use super::plan::Plan;
use super::types::{Type, Types};
use super::{EvalError, PathError, Rules, Settings};
use crate::definitions::{Model, TypeId};
use crate::json::{self, Doc, Value, push_json_string, write_compact};
use crate::outcome::Issue;
use crate::search::terms::{Need, Terms, Unresolved};
use crate::search::value::reference::Target;

mod coded;
mod part;
mod place;
mod terminology;
mod tree;

/// A value as JSON text, where Parameters cannot hold its type.
const JSON_VALUE: &str = "http://fhir.forms-lab.com/StructureDefinition/json-value";

/// Where in the resource a value stands.
const RESOURCE_PATH: &str = "http://fhir.forms-lab.com/StructureDefinition/resource-path";

/// Nesting of what an expression makes.
const MADE_DEPTH_MAX: usize = 64;

/// What is asked.
#[derive(Debug)]
pub struct Question<'d> {
    expression: String,
    context: Option<String>,
    variables: Vec<(String, Value<'d>)>,
    /// What it is asked about.
    pub subject: Subject<'d>,
    /// The member that holds the subject, to be told again.
    given: Option<Value<'d>>,
}

/// What a question is asked about.
#[derive(Debug)]
pub enum Subject<'d> {
    /// The resource itself.
    Inline(Value<'d>),
    /// The resource as JSON text.
    Text(String),
    /// A resource of this tenant.
    Stored(TypeId, ResourceId),
    /// Nothing: the expression stands for itself.
    Nothing,
}

/// A resource that a reference leads to: type, id, and its content unless there is none to be seen.
pub type Known<'a> = (TypeId, ResourceId, Option<Doc<'a>>);

/// What surrounds an evaluation.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// The types of the tenant's version.
    pub types: &'a Types,
    /// The resources that references were found to lead to.
    pub known: &'a [Known<'a>],
    /// Absolute base URLs of the tenant, without a final slash.
    pub own_bases: &'a [&'a str],
    /// Value sets and code systems that the tenant holds.
    pub terms: &'a Terms,
    /// `now()`
    pub now: Moment,
    /// Steps that are left of those that the whole question may take (limit `fhirpath_steps_max`);
    /// counted down, over all rounds of it.
    pub steps: &'a Cell<u64>,
    /// Bytes that the results may have: limit `page_bytes_max`.
    pub results_bytes_max: u64,
}

/// What came out.
#[derive(Debug)]
pub struct Reply {
    /// The Parameters resource.
    pub body: String,
    /// Resources that were asked for and are not among those known.
    pub missing: Vec<(TypeId, ResourceId)>,
    /// Value sets and code systems that were asked for and were not looked up yet.
    pub needs: Vec<Need>,
}

impl<'d> Question<'d> {
    /// Reads the Parameters.
    ///
    /// # Errors
    /// `request-invalid`, with what is missing or malformed.
    pub fn read(model: &'static Model, parameters: Value<'d>) -> Result<Self, Issue> {
        let bad = |text: &str| Issue::error(Code::RequestInvalid, text.to_owned());
        let name = parameters.get("resourceType").and_then(Value::as_str);
        if name.as_deref() != Some("Parameters") {
            return Err(bad("the body of $fhirpath is a Parameters resource"));
        }
        let all = parameters.get("parameter");
        let all: Vec<Value<'d>> = all.into_iter().flat_map(Value::items).collect();
        let named = |wanted: &str| {
            let is = |p: &&Value<'d>| {
                let name = p.get("name").and_then(Value::as_str);
                name.as_deref() == Some(wanted)
            };
            all.iter().find(is).copied()
        };
        let text = |name| {
            let value = named(name)?.get("valueString")?;
            value.as_str().map(std::borrow::Cow::into_owned)
        };
        let expression = text("expression").filter(|e| !e.trim().is_empty());
        let expression = expression.ok_or_else(|| bad("the parameter expression is missing"))?;
        if expression.len() > FHIRPATH_EXPRESSION_BYTES_MAX {
            return Err(expression_issue(&PathError::TooLarge));
        }
        let given = named("resource");
        let subject = match given {
            Some(given) => subject(model, given)?,
            None => Subject::Nothing,
        };
        let mut variables = Vec::new();
        let parts = named("variables").and_then(|v| v.get("part"));
        for part in parts.into_iter().flat_map(Value::items) {
            if variables.len() >= FHIRPATH_VARIABLES_MAX {
                return Err(Issue::error(Code::LimitQuery, "too many variables"));
            }
            let name = part.get("name").and_then(Value::as_str);
            let name = name.ok_or_else(|| bad("a variable has no name"))?;
            variables.push((name.into_owned(), part));
        }
        Ok(Self {
            expression,
            context: text("context").filter(|c| !c.trim().is_empty()),
            variables,
            subject,
            given,
        })
    }

    /// Evaluates it over its subject: the resource of [`Subject::Inline`], or the one that the caller
    /// read or parsed for the others.
    ///
    /// # Errors
    /// `expression-invalid`, `expression-failed`, `limit-query`, `terms-missing`.
    pub fn reply(
        &self,
        around: &Surroundings<'_>,
        subject: Option<Value<'_>>,
    ) -> Result<Reply, Issue> {
        let (asked, done) = self.with_made(around, subject)?;
        let missing: Vec<_> = asked.missing.take().into_iter().collect();
        let needs = asked.needs.take();
        let body = match done {
            Ok(body) => body,
            // What was missing may be why: it is judged when all is there.
            Err(issue)
                if issue.code != Code::LimitQuery && (!missing.is_empty() || !needs.is_empty()) =>
            {
                String::new()
            }
            Err(issue) => return Err(asked.refused.take().unwrap_or(issue)),
        };
        Ok(Reply {
            body,
            missing,
            needs,
        })
    }

    /// Evaluates it until every element that it makes is there: what it puts together is text, which
    /// the next round has as elements.
    fn with_made(
        &self,
        around: &Surroundings<'_>,
        subject: Option<Value<'_>>,
    ) -> Result<(Asked, Result<String, Issue>), Issue> {
        let too_many = || {
            let text = "the expression makes too many elements, or nests them too deeply";
            Issue::error(Code::LimitQuery, text)
        };
        let mut texts: Vec<String> = Vec::new();
        for _ in 0..FHIRPATH_MADE_ROUNDS_MAX {
            let mut made = HashMap::with_capacity(texts.len());
            for text in &texts {
                let doc = json::parse(text.as_bytes(), MADE_DEPTH_MAX).map_err(|_| too_many())?;
                made.insert(text.as_str(), doc);
            }
            let bytes: usize = texts.iter().map(String::len).sum();
            let asked = Asked::default();
            asked.made_bytes.set(bytes);
            let done = self.evaluated(around, &asked, subject, &made);
            let more = asked.made.take();
            // What failed for want of steps or room will not have more of them.
            let ended = matches!(&done, Err(issue) if issue.code == Code::LimitQuery);
            if more.is_empty() || ended {
                return Ok((asked, done));
            }
            drop(made);
            texts.extend(more);
        }
        Err(too_many())
    }

    fn evaluated(
        &self,
        around: &Surroundings<'_>,
        asked: &Asked,
        subject: Option<Value<'_>>,
        made: &HashMap<&str, Doc<'_>>,
    ) -> Result<String, Issue> {
        let types = around.types;
        let node = match subject {
            Some(value) => Some(Node::new(value, resource_type(types, value)?)),
            None => None,
        };
        let ty = node.map(|n| n.ty);
        let variables: Vec<(&str, Vec<Item<'_>>)> = self
            .variables
            .iter()
            .map(|(name, part)| (name.as_str(), part::value_of(types, *part)))
            .collect();
        let names: Vec<&str> = variables.iter().map(|(name, _)| *name).collect();
        let settings = Settings {
            rules: Rules::default(),
            variables: &names,
        };
        let compile = |context: &String| Plan::compile_as(types, &settings, ty, ty, context);
        let context = self.context.as_ref().map(compile).transpose();
        let context = context.map_err(|e| expression_issue(&e))?;
        let host = Traced {
            around,
            asked,
            made,
            traces: RefCell::default(),
        };
        let env = Environment {
            types,
            resource: node,
            root: None,
            now: Some(around.now),
            steps: around.steps,
            variables: &variables,
            host: &host,
        };
        let whole: Vec<Item<'_>> = node.map(Item::Node).into_iter().collect();
        let contexts: Vec<Item<'_>> = match &context {
            Some(context) => context
                .run(env, &whole)
                .map_err(|e| evaluation_issue(&e))?
                .into_vec(),
            None => whole.clone(),
        };
        let plans = self.plans(types, &settings, ty, &contexts)?;
        let host_traces = || std::mem::take(&mut *host.traces.borrow_mut());
        host_traces();
        let mut results = String::new();
        let writer = part::Writer {
            types,
            places: place::Places::new(types, node),
            bytes_max: usize::try_from(around.results_bytes_max).unwrap_or(usize::MAX),
        };
        for (at, item) in contexts.iter().enumerate() {
            let plan = plans.iter().find(|(of, _)| *of == Some(item.ty()));
            let Some((_, plan)) = plan else { continue };
            let focus = std::slice::from_ref(item);
            let items = plan.run(env, focus).map_err(|e| evaluation_issue(&e))?;
            let label = self.context.as_ref().map(|context| {
                let place = writer.places.of(item);
                place.unwrap_or_else(|| format!("{context}[{at}]"))
            });
            writer.result(label.as_deref(), &items, &host_traces(), &mut results)?;
        }
        if let Some((None, plan)) = plans.first() {
            let items = plan.run(env, &[]).map_err(|e| evaluation_issue(&e))?;
            writer.result(None, &items, &host_traces(), &mut results)?;
        }
        let expected = expected(types, &plans);
        Ok(self.parameters(types, &expected, &results))
    }

    /// One plan for each type of context that is met.
    fn plans(
        &self,
        types: &Types,
        settings: &Settings<'_>,
        ty: Option<Type>,
        contexts: &[Item<'_>],
    ) -> Result<Vec<(Option<Type>, Plan)>, Issue> {
        let mut met: Vec<Option<Type>> = contexts.iter().map(|item| Some(item.ty())).collect();
        if self.context.is_none() && contexts.is_empty() {
            met.push(None);
        }
        met.sort_unstable_by_key(|ty| ty.map_or("", |ty| types.name(ty)));
        met.dedup();
        let mut plans = Vec::with_capacity(met.len());
        for of in met {
            let plan = Plan::compile_as(types, settings, ty, of, &self.expression)
                .map_err(|e| expression_issue(&e))?;
            plans.push((of, plan));
        }
        // An expression is judged even where there is nothing to evaluate it for.
        if plans.is_empty() {
            super::parse(&self.expression).map_err(|e| expression_issue(&e))?;
        }
        Ok(plans)
    }

    /// The reply around the results.
    fn parameters(&self, types: &Types, expected: &[&str], results: &str) -> String {
        let mut out = String::with_capacity(results.len() + 512);
        let text = |name: &str, value: &str, out: &mut String| {
            out.push_str("{\"name\":");
            push_json_string(name, out);
            out.push_str(",\"valueString\":");
            push_json_string(value, out);
            out.push_str("},");
        };
        out.push_str(r#"{"resourceType":"Parameters","id":"fhirpath","parameter":[{"name":"parameters","part":["#);
        let release = types.model().version().release();
        text("evaluator", &format!("Insula ({release})"), &mut out);
        if !expected.is_empty() {
            text("expectedReturnType", &expected.join(" | "), &mut out);
        }
        if let Ok(expr) = super::parse(&self.expression) {
            text("parseDebugTree", &tree::of(&expr), &mut out);
        }
        if let Some(context) = &self.context {
            text("context", context, &mut out);
        }
        if let Some(given) = self.given {
            write_compact(given, &mut out);
            out.push(',');
        }
        if !self.variables.is_empty() {
            out.push_str(r#"{"name":"variables","part":["#);
            for (at, (_, part)) in self.variables.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_compact(*part, &mut out);
            }
            out.push_str("]},");
        }
        text("expression", &self.expression, &mut out);
        if out.ends_with(',') {
            out.pop();
        }
        out.push_str("]}");
        out.push_str(results);
        out.push_str("]}");
        out
    }
}

/// The names of the types that plans yield, each once.
fn expected<'t>(types: &'t Types, plans: &[(Option<Type>, Plan)]) -> Vec<&'t str> {
    let mut expected: Vec<&str> = Vec::new();
    for ty in plans.iter().flat_map(|(_, plan)| plan.types()) {
        let name = part::name_of(types, *ty);
        if !expected.contains(&name) {
            expected.push(name);
        }
    }
    expected
}

/// What the parameter `resource` holds.
fn subject<'d>(model: &Model, given: Value<'d>) -> Result<Subject<'d>, Issue> {
    let bad = |text: &str| Issue::error(Code::RequestInvalid, text.to_owned());
    if let Some(resource) = given.get("resource") {
        return Ok(Subject::Inline(resource));
    }
    let extensions = given.get("extension");
    for extension in extensions.into_iter().flat_map(Value::items) {
        let url = extension.get("url").and_then(Value::as_str);
        if url.as_deref() == Some(JSON_VALUE) {
            let text = extension.get("valueString").and_then(Value::as_str);
            let text = text.ok_or_else(|| bad("the resource's json-value has no valueString"))?;
            return Ok(Subject::Text(text.into_owned()));
        }
    }
    let reference = given
        .get("valueReference")
        .and_then(|r| r.get("reference"))
        .or_else(|| given.get("valueString"))
        .or_else(|| given.get("valueUri"))
        .and_then(Value::as_str);
    let reference = reference.ok_or_else(|| bad("the parameter resource has no resource"))?;
    match local(&reference, model, &[]) {
        Some((type_id, id)) => Ok(Subject::Stored(type_id, id)),
        None => Err(bad("the resource is no reference to one here, as Type/id")),
    }
}

fn resource_type(types: &Types, value: Value<'_>) -> Result<Type, Issue> {
    let unknown = || {
        Issue::error(
            Code::ResourceTypeUnknown,
            Code::ResourceTypeUnknown.describe(),
        )
    };
    types.of_resource(value).ok_or_else(unknown)
}

fn local(text: &str, model: &Model, own_bases: &[&str]) -> Option<(TypeId, ResourceId)> {
    match Target::read(text, model, own_bases) {
        Target::Local { type_id, id, .. } => Some((type_id, id)),
        _ => None,
    }
}

fn expression_issue(error: &PathError) -> Issue {
    Issue::error(Code::ExpressionInvalid, error.to_string())
}

fn evaluation_issue(error: &EvalError) -> Issue {
    match error {
        EvalError::Steps => {
            Issue::error(Code::LimitQuery, error.to_string()).limit("fhirpath_steps_max")
        }
        EvalError::Made => Issue::error(Code::LimitQuery, error.to_string()),
        error => Issue::error(Code::ExpressionFailed, error.to_string()),
    }
}

/// What one evaluation asks for.
#[derive(Default)]
struct Asked {
    missing: RefCell<HashSet<(TypeId, ResourceId)>>,
    needs: RefCell<Vec<Need>>,
    /// Why a value set or code system cannot be judged by.
    refused: RefCell<Option<Issue>>,
    /// Elements that were put together and are not there yet.
    made: RefCell<HashSet<String>>,
    /// Bytes of all that was put together.
    made_bytes: Cell<usize>,
}

/// What one evaluation asks for, and what it shows.
struct Traced<'a> {
    around: &'a Surroundings<'a>,
    asked: &'a Asked,
    /// What was put together before.
    made: &'a HashMap<&'a str, Doc<'a>>,
    traces: RefCell<Vec<(String, Vec<Item<'a>>)>>,
}

impl Traced<'_> {
    /// What the value sets and code systems that are held say.
    fn told(&self, answer: Result<Option<bool>, Unresolved>) -> Told {
        match answer {
            Ok(Some(answer)) => Told::Is(answer),
            Ok(None) => Told::Nothing,
            Err(Unresolved::Needs(need)) => {
                let mut needs = self.asked.needs.borrow_mut();
                if !needs.contains(&need) {
                    needs.push(need);
                }
                Told::Nothing
            }
            Err(Unresolved::Refused(issue)) => {
                self.asked.refused.replace(Some(issue));
                Told::Unknown
            }
        }
    }
}

impl<'a> Host<'a> for Traced<'a> {
    fn resolve(&self, reference: &str) -> Option<Value<'a>> {
        let model = self.around.types.model();
        let (type_id, id) = local(reference, model, self.around.own_bases)?;
        let is = |k: &&Known<'a>| k.0 == type_id && k.1 == id;
        if let Some(known) = self.around.known.iter().find(is) {
            return known.2.as_ref().map(Doc::root);
        }
        self.asked.missing.borrow_mut().insert((type_id, id));
        None
    }

    fn member_of(&self, item: &Item<'a>, value_set: &str) -> Told {
        let Some(codes) = coded::of(self.around.types, item) else {
            return Told::Nothing;
        };
        self.told(self.around.terms.member(value_set, &codes))
    }

    fn subsumes(&self, left: &Item<'a>, right: &Item<'a>) -> Told {
        let types = self.around.types;
        let (Some(left), Some(right)) = (coded::of(types, left), coded::of(types, right)) else {
            return Told::Nothing;
        };
        self.told(self.around.terms.subsumes(&left, &right))
    }

    fn makes(&self) -> bool {
        true
    }

    fn made(&self, text: &str) -> Result<Option<Value<'a>>, EvalError> {
        if let Some(doc) = self.made.get(text) {
            return Ok(Some(doc.root()));
        }
        let mut made = self.asked.made.borrow_mut();
        if made.contains(text) {
            return Ok(None);
        }
        let bytes = self.asked.made_bytes.get().saturating_add(text.len());
        if self.made.len() + made.len() >= FHIRPATH_MADE_MAX || bytes > FHIRPATH_MADE_BYTES_MAX {
            return Err(EvalError::Made);
        }
        self.asked.made_bytes.set(bytes);
        made.insert(text.to_owned());
        Ok(None)
    }

    fn terms(&self, call: TermsCall, args: &[Item<'a>]) -> Option<Option<String>> {
        match terminology::answer(self.around.terms, self.around.types, call, args) {
            Ok(answer) => Some(answer),
            Err(Unresolved::Needs(need)) => {
                let mut needs = self.asked.needs.borrow_mut();
                if !needs.contains(&need) {
                    needs.push(need);
                }
                Some(None)
            }
            Err(Unresolved::Refused(issue)) => {
                self.asked.refused.replace(Some(issue));
                None
            }
        }
    }

    fn trace(&self, name: &str, items: &[Item<'a>]) {
        let mut traces = self.traces.borrow_mut();
        traces.push((name.to_owned(), items.to_vec()));
    }
}
