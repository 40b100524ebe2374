//! One page for each version of FHIR: what is done of its interactions, search and formats. Every
//! line is asked of the tables that the CapabilityStatement is made of, or of the search parser.

use std::fmt::Write;

use base::Code;
use fhir::definitions::{FhirVersion, Model, ParamKind, TypeId};
use fhir::search::{Served, served, understood};
use rest::{Base, Class, ROUTES};

/// Types of search parameters, in the order of the specification.
const KINDS: [ParamKind; 9] = [
    ParamKind::Number,
    ParamKind::Date,
    ParamKind::String,
    ParamKind::Token,
    ParamKind::Reference,
    ParamKind::Composite,
    ParamKind::Quantity,
    ParamKind::Uri,
    ParamKind::Special,
];

/// Modifiers that the specification has, in some version.
const MODIFIERS: [&str; 13] = [
    "above",
    "below",
    "code-text",
    "contains",
    "exact",
    "identifier",
    "in",
    "missing",
    "not",
    "not-in",
    "of-type",
    "text",
    "text-advanced",
];

/// Parameters that are about no one element, or about the result: name, what is searched (nothing
/// for all types), and a query that uses it.
const OTHERS: [(&str, Option<&str>, &str); 28] = [
    ("_text", Some("Patient"), "_text=x"),
    ("_content", Some("Patient"), "_content=x"),
    ("_filter", Some("Patient"), "_filter=name eq x"),
    ("_list", Some("Patient"), "_list=1"),
    ("_in", Some("Patient"), "_in=Group/1"),
    ("_query", Some("Patient"), "_query=x"),
    ("_type", None, "_type=Patient,Observation"),
    ("near", Some("Location"), "near=1|2|3|km"),
    ("chain", Some("Observation"), "subject:Patient.name=x"),
    (
        "chain of chains",
        Some("Observation"),
        "subject:Patient.organization.name=x",
    ),
    ("_has", Some("Patient"), "_has:Observation:subject:code=x"),
    (
        "_has within _has",
        Some("Organization"),
        "_has:Patient:organization:_has:Observation:subject:code=x",
    ),
    (
        "_include",
        Some("Observation"),
        "_include=Observation:subject",
    ),
    ("_include=*", Some("Observation"), "_include=*"),
    (
        "_include:iterate",
        Some("Observation"),
        "_include:iterate=Patient:organization",
    ),
    (
        "_revinclude",
        Some("Patient"),
        "_revinclude=Observation:subject",
    ),
    (
        "_revinclude:iterate",
        Some("Organization"),
        "_revinclude:iterate=Observation:subject",
    ),
    ("_sort", Some("Patient"), "_sort=-birthdate,name"),
    ("_sort=_score", Some("Patient"), "_sort=_score"),
    ("_count", Some("Patient"), "_count=5"),
    ("_total=none", Some("Patient"), "_total=none"),
    ("_total=estimate", Some("Patient"), "_total=estimate"),
    ("_total=accurate", Some("Patient"), "_total=accurate"),
    ("_summary", Some("Patient"), "_summary=true"),
    ("_elements", Some("Patient"), "_elements=name"),
    ("_contained", Some("Patient"), "_contained=true"),
    (
        "_containedType",
        Some("Patient"),
        "_containedType=contained",
    ),
    ("_maxresults", Some("Patient"), "_maxresults=5"),
];

/// Path below `docs/src` and content of each version's page.
pub(super) fn all() -> impl Iterator<Item = (&'static str, String)> {
    let path = |version| match version {
        FhirVersion::R4 => "fhir/r4.md",
        FhirVersion::R4B => "fhir/r4b.md",
        FhirVersion::R5 => "fhir/r5.md",
    };
    FhirVersion::ALL
        .into_iter()
        .map(move |v| (path(v), page(v)))
}

/// What one version has, gathered once.
struct Version {
    model: &'static Model,
    types: Vec<(TypeId, Vec<Served>)>,
}

fn page(version: FhirVersion) -> String {
    let model = Model::of(version);
    let types = model.types().map(|t| (t, served(model, t))).collect();
    let gathered = Version { model, types };
    let mut out = String::new();
    gathered.head(&mut out);
    interactions(&mut out);
    formats(&mut out);
    gathered.kinds(&mut out);
    gathered.modifiers(&mut out);
    gathered.others(&mut out);
    gathered.resources(&mut out);
    out
}

impl Version {
    fn all(&self) -> impl Iterator<Item = &Served> {
        self.types.iter().flat_map(|(_, served)| served)
    }

    fn head(&self, out: &mut String) {
        let version = self.model.version();
        let _ = writeln!(
            out,
            "# FHIR {} ({version})\n\nWhat a tenant of FHIR {version} does. It has {} resource types and {} \
             search parameters; `GET /metadata` says the same in a CapabilityStatement. A search \
             with what is marked as refused gets an OperationOutcome that names it; only names \
             that this version does not define are passed over, with a warning, unless `Prefer: \
             handling=strict` makes them an error too.\n",
            version.release(),
            self.types.len(),
            self.all().count(),
        );
    }

    fn kinds(&self, out: &mut String) {
        out.push_str(
            "\n## Types of search parameters\n\n| type | parameters | modifiers | prefixes |\n\
             |---|---:|---|---|\n",
        );
        for kind in KINDS {
            let of_kind: Vec<&Served> = self.all().filter(|s| s.param.kind == kind).collect();
            let modifiers = MODIFIERS
                .iter()
                .chain(&["type"])
                .filter(|m| of_kind.iter().any(|s| s.modifiers.contains(m)))
                .map(|m| shown(m));
            let modifiers = modifiers.collect::<Vec<_>>().join(" ");
            let prefixed = of_kind.iter().find(|s| !s.prefixes.is_empty());
            let prefixes = prefixed.map(|s| s.prefixes).unwrap_or_default();
            let prefixes = prefixes.iter().map(|p| format!("`{}`", p.as_str()));
            let prefixes = prefixes.collect::<Vec<_>>().join(" ");
            let count = of_kind.len();
            let _ = writeln!(
                out,
                "| {} | {count} | {modifiers} | {prefixes} |",
                kind.as_str()
            );
        }
        let not: Vec<String> = self
            .types
            .iter()
            .flat_map(|(t, served)| {
                let has = |code| served.iter().any(|s| s.param.code == code);
                let name = self.model.type_name(*t);
                let absent = self.model.params(*t).iter().filter(move |p| !has(p.code));
                absent.map(move |p| format!("`{name}.{}` ({})", p.code, p.kind.as_str()))
            })
            .collect();
        if !not.is_empty() {
            let _ = writeln!(
                out,
                "\nDefined by this version and not served: {}.",
                not.join(", ")
            );
        }
    }

    fn modifiers(&self, out: &mut String) {
        out.push_str("\n## Modifiers\n\n| modifier | on |\n|---|---|\n");
        for modifier in MODIFIERS.iter().chain(&["type"]) {
            let on = |kind: &&ParamKind| {
                let takes = |s: &&Served| s.param.kind == **kind && s.modifiers.contains(modifier);
                self.all().any(|s| takes(&s))
            };
            let on: Vec<&str> = KINDS.iter().filter(on).map(|k| k.as_str()).collect();
            let on = if on.is_empty() {
                "refused".to_owned()
            } else {
                on.join(", ")
            };
            let _ = writeln!(out, "| {} | {on} |", shown(modifier));
        }
    }

    fn others(&self, out: &mut String) {
        out.push_str(
            "\n## Search beyond elements, and results\n\n| parameter | example | |\n|---|---|---|\n",
        );
        for (name, searched, query) in OTHERS {
            let done = understood(self.model, searched, query);
            let done = if done { "served" } else { "refused" };
            let path = searched.unwrap_or("");
            let example = query.replace('|', "\\|");
            let _ = writeln!(out, "| {name} | `GET /{path}?{example}` | {done} |");
        }
    }

    fn resources(&self, out: &mut String) {
        out.push_str(
            "\n## Resource types and their search parameters\n\nEvery interaction above is there for \
             every type. Parameters that all types have stand at the top.\n\n| type | parameters |\n\
             |---|---|\n",
        );
        let common: Vec<&str> = match self.types.first() {
            Some((_, first)) => first
                .iter()
                .map(|s| s.param.code)
                .filter(|code| {
                    let has = |of: &Vec<Served>| of.iter().any(|s| s.param.code == *code);
                    self.types.iter().all(|(_, of)| has(of))
                })
                .collect(),
            None => Vec::new(),
        };
        let _ = writeln!(out, "| *all* | `{}` |", common.join("` `"));
        for (type_id, served) in &self.types {
            let own = served.iter().map(|s| s.param.code);
            let own: Vec<String> = own
                .filter(|code| !common.contains(code))
                .map(|code| format!("`{code}`"))
                .collect();
            let _ = writeln!(
                out,
                "| {} | {} |",
                self.model.type_name(*type_id),
                own.join(" ")
            );
        }
    }
}

fn shown(modifier: &str) -> String {
    match modifier {
        "type" => "`:{Type}`".to_owned(),
        _ => format!("`:{modifier}`"),
    }
}

/// Interactions and operations: the routes below a tenant's FHIR base.
fn interactions(out: &mut String) {
    let table = |out: &mut String, operations: bool| {
        out.push_str("\n| name | request | scope letters |\n|---|---|---|\n");
        let mut seen = Vec::new();
        for route in ROUTES.iter().filter(|r| r.base == Base::Fhir) {
            let letters = match route.class() {
                Class::Caller(letters) => format!("`{letters}`"),
                _ => String::new(),
            };
            let is_operation = route.path.contains('$');
            // The base itself stands in the table with and without a slash.
            let line = (
                route.interaction,
                route.method.as_str(),
                route.path.trim_end_matches('/'),
            );
            if is_operation != operations || seen.contains(&line) {
                continue;
            }
            seen.push(line);
            let (name, method, path) = line;
            let path = if path.is_empty() { "/" } else { path };
            let _ = writeln!(out, "| {name} | `{method} {path}` | {letters} |");
        }
        if seen.is_empty() {
            out.push_str("| (none) | | |\n");
        }
    };
    out.push_str("## Interactions\n");
    table(out, false);
    out.push_str("\n## Operations\n");
    table(out, true);
}

fn formats(out: &mut String) {
    let formats = engine::FORMATS.iter().map(|f| format!("`{f}`"));
    let _ = writeln!(
        out,
        "\n## Formats\n\n{}. Anything else is refused with {} (`Accept`, `_format`) or {} (bodies).",
        formats.collect::<Vec<_>>().join(", "),
        rest::status(Code::NotAcceptable).as_u16(),
        rest::status(Code::MediaType).as_u16(),
    );
}
