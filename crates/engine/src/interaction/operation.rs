//! Operations (`operations.html`): which there are, and how one that was asked for is done. The
//! table is what the CapabilityStatement tells.

use access::{Search, Target};
use base::{Code, ResourceId};
use bytes::Bytes;
use fhir::definitions::Model;
use store::Operated;

use super::condition::WriteConditions;
use super::search::Asked;
use crate::answer::Answer;
use crate::failure::Failure;
use crate::form;
use crate::session::Session;

mod alerts;
mod break_glass;
mod everything;
mod last_n;
mod meta;
pub(super) mod parameters;
mod quarantine;

pub use break_glass::{OpenedAccess, OpeningCountsView, OpeningView, ReviewSaid, ReviewView};

/// An operation as the CapabilityStatement tells it.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// Its name, without `$`; also the interaction of its routes.
    pub name: &'static str,
    /// The canonical URL of its definition.
    pub definition: &'static str,
    /// Types that have it; empty for every type.
    pub types: &'static [&'static str],
    /// Whether it can be asked of the whole system.
    pub system: bool,
}

const fn operation(
    name: &'static str,
    definition: &'static str,
    types: &'static [&'static str],
    system: bool,
) -> Operation {
    Operation {
        name,
        definition,
        types,
        system,
    }
}

/// Every operation.
pub const OPERATIONS: &[Operation] = &[
    operation(
        "everything",
        "http://hl7.org/fhir/OperationDefinition/Patient-everything",
        &["Patient"],
        false,
    ),
    operation(
        "everything",
        "http://hl7.org/fhir/OperationDefinition/Encounter-everything",
        &["Encounter"],
        false,
    ),
    operation(
        "everything",
        "http://hl7.org/fhir/OperationDefinition/Group-everything",
        &["Group"],
        false,
    ),
    operation(
        "lastn",
        "http://hl7.org/fhir/OperationDefinition/Observation-lastn",
        &["Observation"],
        false,
    ),
    operation(
        "meta",
        "http://hl7.org/fhir/OperationDefinition/Resource-meta",
        &[],
        true,
    ),
    operation(
        "meta-add",
        "http://hl7.org/fhir/OperationDefinition/Resource-meta-add",
        &[],
        false,
    ),
    operation(
        "meta-delete",
        "http://hl7.org/fhir/OperationDefinition/Resource-meta-delete",
        &[],
        false,
    ),
    operation(
        "graphql",
        "http://hl7.org/fhir/OperationDefinition/Resource-graphql",
        &[],
        true,
    ),
];

/// What an operation is asked of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On<'a> {
    /// The whole.
    System,
    /// A type.
    Type(&'a str),
    /// A resource: type and id.
    Instance(&'a str, &'a str),
    /// A version: type, id and version.
    Version(&'a str, &'a str, &'a str),
}

impl On<'_> {
    /// The path of the operation under the base.
    fn path(self, name: &str) -> String {
        match self {
            Self::System => format!("${name}"),
            Self::Type(of) => format!("{of}/${name}"),
            Self::Instance(of, id) => format!("{of}/{id}/${name}"),
            Self::Version(of, id, version) => format!("{of}/{id}/_history/{version}/${name}"),
        }
    }
}

/// What an operation is given.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// Parameters of the URL or of a form, still encoded, without `_cursor`, `_format` and
    /// `_pretty`.
    pub query: &'a str,
    /// `_cursor`
    pub cursor: Option<&'a str>,
    /// `Prefer: handling=strict`
    pub strict: bool,
    /// Conditions on the version that is changed.
    pub conditions: &'a WriteConditions,
    /// A Parameters resource, for `$graphql` also its own JSON form; empty for none.
    pub body: &'a Bytes,
}

impl Session {
    /// Does an operation of this name, without `$`.
    ///
    /// # Errors
    /// `not-supported` if there is none of this name here, and those of the operation.
    pub async fn operate(
        &self,
        name: &str,
        on: On<'_>,
        input: Input<'_>,
    ) -> Result<Answer, Failure> {
        if let On::Type(type_name) | On::Instance(type_name, _) | On::Version(type_name, ..) = on {
            let _ = self.type_id(type_name)?;
        }
        self.may_operate(name).await?;
        self.on_errand(name, on)
            .await?
            .operate_so(name, on, input)
            .await
    }

    /// The caller with what they may do while an operation is done.
    async fn on_errand(&self, name: &str, on: On<'_>) -> Result<Self, Failure> {
        let of = match on {
            On::Type(of @ "Patient") | On::Instance(of @ "Group", _) if name == "everything" => of,
            _ => return Ok(self.with_rights(self.rights.to_operate(name))),
        };
        let session = self.rights.in_bulk().map(|own| self.with_rights(own));
        // Where nothing is read in bulk at all, it is that which is refused.
        let denied = match session {
            Some(session) => match session.decide::<Search>(Target::Readable) {
                Ok(_) => return Ok(session),
                Err(denied) => Some(denied),
            },
            None => None,
        };
        Err(self.refuse_bulk(denied, self.type_id(of)?).await)
    }

    async fn operate_so(
        &self,
        name: &str,
        on: On<'_>,
        input: Input<'_>,
    ) -> Result<Answer, Failure> {
        match (name, on) {
            ("everything", On::Type("Patient"))
            | ("everything", On::Instance("Patient" | "Encounter" | "Group", _)) => {
                let query = self.simple_parameters(&input)?;
                self.everything(on, asked(&input, &query)).await
            }
            ("lastn", On::Type("Observation")) => {
                let query = self.simple_parameters(&input)?;
                let words = path_and_query(&on.path(name), &query);
                let asked = asked(&input, &query);
                self.as_one(("lastn", on), words, |one| async move {
                    one.last_n(asked).await
                })
                .await
            }
            ("fhirpath", On::System) => self.fhirpath(input.body).await,
            ("fhirpath", On::Instance(type_name, id)) => {
                let of = (type_name, id);
                self.fhirpath_of(of, input.query, input.body).await
            }
            ("meta", _) => self.meta(on).await,
            ("graphql", On::System | On::Type(_) | On::Instance(..)) => {
                let mut words = path_and_query(&on.path(name), input.query);
                if !super::admit::is_blank(input.body) {
                    words.push('\n');
                    words.push_str(&String::from_utf8_lossy(input.body));
                }
                self.as_one(("graphql", on), words, |one| async move {
                    one.graphql(on, input).await
                })
                .await
            }
            ("meta-add", On::Instance(type_name, id)) => {
                self.change_meta(
                    (type_name, id),
                    meta::Edit::Add,
                    input.body,
                    input.conditions,
                )
                .await
            }
            ("meta-delete", On::Instance(type_name, id)) => {
                self.change_meta(
                    (type_name, id),
                    meta::Edit::Delete,
                    input.body,
                    input.conditions,
                )
                .await
            }
            (
                "vendors" | "vendor" | "vendor-propose" | "vendor-switch" | "vendor-activity",
                On::System,
            ) => self.contract(name, input.body).await,
            (
                "policy" | "policy-publish" | "policy-test" | "policy-import" | "policy-dry-run",
                On::System,
            ) => self.govern(name, input.body).await,
            ("break-glass" | "break-glass-end" | "break-glass-review", _) => {
                self.break_glass(name, on, &input).await
            }
            (
                "alerts" | "alert-acknowledge" | "alert-rules" | "alert-rules-publish",
                On::System,
            ) => self.attend(name, &input).await,
            ("quarantine" | "quarantine-decide", On::System) => self.keep_apart(name, &input).await,
            _ => Err(unknown(name)),
        }
    }

    /// Does an operation that reads many times as one access: one record tells of all that it shows.
    async fn as_one<F>(
        &self,
        (name, on): (&'static str, On<'_>),
        asked: String,
        work: impl FnOnce(Self) -> F,
    ) -> Result<Answer, Failure>
    where
        F: Future<Output = Result<Answer, Failure>>,
    {
        let (of, id) = match on {
            On::System => (None, None),
            On::Type(of) => (Some(of), None),
            On::Instance(of, id) | On::Version(of, id, _) => (Some(of), ResourceId::new(id).ok()),
        };
        let of = Operated {
            name,
            type_id: of.map(|of| self.type_id(of)).transpose()?,
            id,
            asked,
        };
        let work = |store| work(self.with_store(store));
        self.store.as_one(of, work).await?
    }

    /// The parameters of the URL and those of the body, as one query string.
    fn simple_parameters(&self, input: &Input<'_>) -> Result<String, Failure> {
        let mut query = input.query.to_owned();
        if !super::admit::is_blank(input.body) {
            let depth_max = usize::try_from(self.limits().json_depth_max).unwrap_or(usize::MAX);
            for (name, value) in parameters::simple(input.body, depth_max)? {
                if !query.is_empty() {
                    query.push('&');
                }
                query.push_str(&form::encode(&name));
                query.push('=');
                query.push_str(&form::encode(&value));
            }
        }
        Ok(query)
    }
}

fn asked<'a>(input: &Input<'a>, query: &'a str) -> Asked<'a> {
    Asked {
        query,
        cursor: input.cursor,
        strict: input.strict,
    }
}

fn path_and_query(path: &str, query: &str) -> String {
    match query {
        "" => path.to_owned(),
        query => [path, "?", query].concat(),
    }
}

fn unknown(name: &str) -> Failure {
    let known = OPERATIONS.iter().any(|operation| operation.name == name);
    Failure::new(
        Code::NotSupported,
        match known {
            true => "this operation is not supported here",
            false => "this operation is not supported",
        },
    )
}

/// Whether an operation changes what is stored.
pub(super) fn changes(name: &str) -> bool {
    matches!(
        name,
        "meta-add"
            | "meta-delete"
            | "policy-publish"
            | "quarantine-decide"
            | "break-glass"
            | "break-glass-end"
            | "break-glass-review"
            | "alert-acknowledge"
            | "alert-rules-publish"
    )
}

/// The operations of a type of this version, or of the whole.
pub(super) fn offered(
    model: &'static Model,
    type_name: Option<&'static str>,
) -> impl Iterator<Item = &'static Operation> {
    OPERATIONS.iter().filter(move |operation| match type_name {
        None => operation.system,
        Some(name) => {
            operation.types.is_empty()
                || (operation.types.contains(&name) && model.type_id(name).is_some())
        }
    })
}
