use base::{Limits, Micros};

use super::{Options, Parsed, Target, parse};
use crate::definitions::{FhirVersion, Model, ParamId, TypeId};
use crate::outcome::Outcome;
use crate::search::query::{
    Clause, Match, Prefix, Range, ReferenceMatch, Shape, SortBy, Test, TokenMatch, Total, Unit,
};

fn model() -> &'static Model {
    Model::of(FhirVersion::R4)
}

fn type_id(name: &str) -> TypeId {
    model().type_id(name).unwrap()
}

fn read(target: &str, query: &str, strict: bool) -> Result<Parsed, Outcome> {
    let limits = Limits {
        query_values_max: 5,
        query_parameters_max: 9,
        ..Limits::default()
    };
    let options = Options {
        limits: &limits,
        strict,
        own_bases: &["https://here.example/t/a/fhir"],
        now: Micros::from_civil(2020, 1, 11, 0),
    };
    let target = match target {
        "" => Target::All,
        names => Target::Types(names.split(' ').map(type_id).collect()),
    };
    parse(model(), &target, query, &options)
}

fn params(ids: &[ParamId]) -> String {
    let name = |id: &ParamId| {
        let p = model().param_by_id(*id).unwrap();
        format!("{}.{}", model().type_name(p.type_id), p.code)
    };
    ids.iter().map(name).collect::<Vec<_>>().join("+")
}

fn day(us: i64) -> String {
    let text = Micros(us).instant().to_string();
    text.replace(":00.000Z", "")
        .replace("T00:00", "")
        .replace(".000Z", "")
}

fn token(t: &TokenMatch) -> String {
    let code = t.code.as_deref().unwrap_or("*");
    t.system
        .as_ref()
        .map_or(code.to_owned(), |s| format!("{s}|{code}"))
}

fn number(p: Prefix, r: Range<f64>) -> String {
    if r.low == r.high {
        format!("{} {}", p.as_str(), r.low)
    } else {
        format!("{} {}..{}", p.as_str(), r.low, r.high)
    }
}

fn of_match(m: &Match) -> String {
    let at = |v: &Option<String>| v.as_ref().map_or(String::new(), |v| format!("@{v}"));
    match m {
        Match::Token(t) => token(t),
        Match::TokenText(t) => format!("text {t}"),
        Match::StringPrefix(t) => format!("'{t}*'"),
        Match::StringContains(t) => format!("'*{t}*'"),
        Match::StringExact(t) => format!("'{t}'"),
        Match::Date(p, r) => format!("{} {}..{}", p.as_str(), day(r.low), day(r.high)),
        Match::Number(p, r) => number(*p, *r),
        Match::Quantity(p, r, unit) => {
            let unit = match unit {
                Unit::Any => String::new(),
                Unit::Code(code) => format!(" [{code}]"),
                Unit::Coded { system, code } => format!(" [{system}|{code}]"),
            };
            format!("{}{unit}", number(*p, *r))
        }
        Match::Reference(ReferenceMatch::Local {
            type_id,
            id,
            version,
        }) => {
            format!("{}/{id}{}", model().type_name(*type_id), at(version))
        }
        Match::Reference(ReferenceMatch::AnyType { id, types }) => {
            let types: Vec<_> = types.iter().map(|t| model().type_name(*t)).collect();
            format!("({})/{id}", types.join(" "))
        }
        Match::Reference(ReferenceMatch::Url { url, version }) => format!("<{url}>{}", at(version)),
        Match::ReferenceIdentifier(t) => format!("identifier {}", token(t)),
        Match::Uri(u) => format!("<{u}>"),
        Match::UriBelow(u) => format!("below <{u}>"),
        Match::UriAbove(u) => format!("above <{u}>"),
        Match::Composite(parts) => parts.iter().map(of_match).collect::<Vec<_>>().join(" $ "),
    }
}

fn of_clause(clause: &Clause) -> String {
    let ids = |ids: &[base::ResourceId]| {
        ids.iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    };
    match clause {
        Clause::Param(clause) => {
            let all = |m: &[Match]| m.iter().map(of_match).collect::<Vec<_>>().join(", ");
            let test = match &clause.test {
                Test::Missing(b) => format!("missing {b}"),
                Test::Any(m) => all(m),
                Test::None(m) => format!("not {}", all(m)),
            };
            format!("{}: {test}", params(&clause.param))
        }
        Clause::Id(of) => format!("id {}", ids(of)),
        Clause::NotId(of) => format!("not id {}", ids(of)),
        Clause::Chain { param, targets } => {
            let inner = |(t, c): &(TypeId, Box<Clause>)| {
                format!("{} {}", model().type_name(*t), of_clause(c))
            };
            let inner: Vec<_> = targets.iter().map(inner).collect();
            format!("{} -> {{{}}}", params(param), inner.join("; "))
        }
        Clause::Has {
            source,
            param,
            inner,
        } => {
            format!(
                "{} <- {} {}",
                params(&[*param]),
                model().type_name(*source),
                of_clause(inner)
            )
        }
        Clause::Never => "never".to_owned(),
    }
}

/// The conditions that a query on a type comes to.
fn check(target: &str, query: &str, want: &str) {
    let parsed = read(target, query, true).unwrap_or_else(|e| panic!("{query}: {e:?}"));
    let got: Vec<_> = parsed.query.filter.iter().map(of_clause).collect();
    assert_eq!(got.join(" & "), want, "{query}");
}

/// Why a query is refused.
fn refused(target: &str, query: &str, want: &str) {
    let outcome = read(target, query, true).map(|p| p.query).unwrap_err();
    let got: Vec<_> = outcome
        .0
        .iter()
        .map(|i| format!("{}: {}", i.code.as_str(), i.diagnostics))
        .collect();
    assert_eq!(got.join(" & "), want, "{query}");
}

#[test]
fn tokens() {
    for (query, want) in [
        ("code=718-7", "Observation.code: 718-7"),
        (
            "code=http://loinc.org|718-7",
            "Observation.code: http://loinc.org|718-7",
        ),
        (
            "code=http%3A%2F%2Floinc.org%7C718-7,|x,s|",
            "Observation.code: http://loinc.org|718-7, |x, s|*",
        ),
        (
            "code=a%5C,b,c%5C%7Cd,e%5C%5C,f%5Cg",
            "Observation.code: a,b, c|d, e\\, f\\g",
        ),
        ("code=s|a|b", "Observation.code: s|a|b"),
        ("code:not=x,y", "Observation.code: not x, y"),
        (
            "code:text=H%C3%A9mo  Globin",
            "Observation.code: text hemo globin",
        ),
        ("code:missing=true", "Observation.code: missing true"),
        (
            "status=http://hl7.org/fhir/observation-status|final",
            "Observation.status: |final",
        ),
        (
            "status=http://hl7.org/fhir/observation-status|",
            "Observation.status: |*",
        ),
        (
            "status=http://else|final",
            "Observation.status: http://else|final",
        ),
        (
            "_tag=http://t|x&_security:not=R",
            "Observation._tag: http://t|x & Observation._security: not R",
        ),
    ] {
        check("Observation", query, want);
    }
    check(
        "Patient",
        "active=true&deceased:not=false",
        "Patient.active: true & Patient.deceased: not false",
    );
    let special = "active=http://terminology.hl7.org/CodeSystem/special-values|true";
    check("Patient", special, "Patient.active: |true");
}

#[test]
fn strings_and_uris() {
    check(
        "Patient",
        "name=M%C3%BCller,de+la",
        "Patient.name: 'muller*', 'de la*'",
    );
    check(
        "Patient",
        "family:exact=M%C3%BCller&given:contains=An",
        "Patient.family: 'Müller' & Patient.given: '*an*'",
    );
    check(
        "ValueSet",
        "url=http://a,http://b|1",
        "ValueSet.url: <http://a>, <http://b|1>",
    );
    check(
        "ValueSet",
        "url:below=http://a/&url:above=http://a/b",
        "ValueSet.url: below <http://a/> & ValueSet.url: above <http://a/b>",
    );
    check(
        "Patient",
        "_profile=http://p&_source:missing=false",
        "Patient._profile: <http://p> & Patient._source: missing false",
    );
}

#[test]
fn dates_numbers_and_quantities() {
    check(
        "Patient",
        "birthdate=ge2013-03,lt2014",
        "Patient.birthdate: ge 2013-03-01..2013-04-01, lt 2014-01-01..2015-01-01",
    );
    check(
        "Patient",
        "birthdate=ap2020-01-01",
        "Patient.birthdate: ap 2019-12-31T02:24..2020-01-02T21:36",
    );
    check(
        "Patient",
        "_lastUpdated=gt2020-01-01T10:00:00+02:00",
        "Patient._lastUpdated: gt 2020-01-01T08:00..2020-01-01T08:00:01",
    );
    check(
        "Patient",
        "_lastUpdated=gt2020-01-01T10:00:00%2B02:00",
        "Patient._lastUpdated: gt 2020-01-01T08:00..2020-01-01T08:00:01",
    );
    check(
        "RiskAssessment",
        "probability=0.5&probability=gt0.5",
        "RiskAssessment.probability: eq 0.45..0.55 & RiskAssessment.probability: gt 0.5",
    );
    check(
        "RiskAssessment",
        "probability=ne1e2,ap100,le-3",
        "RiskAssessment.probability: ne 95..105, ap 90..110, le -3",
    );
    check(
        "Observation",
        "value-quantity=5.4|http://u|mg,5.40||kg,sa7",
        "Observation.value-quantity: eq 5.35..5.45 [http://u|mg], eq 5.395..5.405 [kg], sa 7",
    );
}

#[test]
fn references() {
    for (query, want) in [
        (
            "subject=Patient/7,Group/8/_history/2",
            "Observation.subject: Patient/7, Group/8@2",
        ),
        (
            "subject=7",
            "Observation.subject: (Group Device Patient Location)/7",
        ),
        ("patient=7", "Observation.patient: Patient/7"),
        (
            "subject:Patient=7,Patient/8",
            "Observation.subject: Patient/7, Patient/8",
        ),
        (
            "subject=https://here.example/t/a/fhir/Patient/7",
            "Observation.subject: Patient/7",
        ),
        (
            "subject=https://here.example/t/b/fhir/Patient/7",
            "Observation.subject: <https://here.example/t/b/fhir/Patient/7>",
        ),
        (
            "subject=http://e.org/Patient/7/_history/1,urn:uuid:1-2",
            "Observation.subject: <http://e.org/Patient/7>@1, <urn:uuid:1-2>",
        ),
        ("patient=Group/7", "never"),
        (
            "subject=Encounter/1,Patient/2",
            "Observation.subject: Patient/2",
        ),
        (
            "subject:identifier=urn:mrn|7",
            "Observation.subject: identifier urn:mrn|7",
        ),
        (
            "subject:missing=false",
            "Observation.subject: missing false",
        ),
    ] {
        check("Observation", query, want);
    }
    check(
        "QuestionnaireResponse",
        "questionnaire=http://q|2",
        "QuestionnaireResponse.questionnaire: <http://q>@2",
    );
    check(
        "QuestionnaireResponse",
        "questionnaire=3",
        "QuestionnaireResponse.questionnaire: Questionnaire/3",
    );
    check(
        "PlanDefinition",
        "definition=some/path",
        "PlanDefinition.definition: <some/path>",
    );
}

#[test]
fn composites() {
    check(
        "Observation",
        "code-value-quantity=http://l|1$gt5||mg,2$3",
        "Observation.code-value-quantity: http://l|1 $ gt 5 [mg], 2 $ eq 2.5..3.5",
    );
    check(
        "Observation",
        "code-value-string=a%5C$b$C",
        "Observation.code-value-string: a$b $ 'c*'",
    );
    check(
        "Group",
        "characteristic-value=g$x",
        "Group.characteristic-value: g $ x",
    );
    check(
        "DocumentReference",
        "relationship=replaces$DocumentReference/1",
        "DocumentReference.relationship: replaces $ DocumentReference/1",
    );
    check(
        "MolecularSequence",
        "chromosome-variant-coordinate=8$lt5$gt6",
        "MolecularSequence.chromosome-variant-coordinate: 8 $ lt 5 $ gt 6",
    );
}

#[test]
fn ids_and_types() {
    check("Patient", "_id=a,b", "id a, b");
    check("Patient", "_id:not=a", "not id a");
    check(
        "Patient Group",
        "_id=a&identifier=x",
        "id a & Patient.identifier+Group.identifier: x",
    );
    check(
        "",
        "_type=Patient,Group&identifier=x",
        "Patient.identifier+Group.identifier: x",
    );
    let parsed = read("", "_type=Patient,Group,Patient", true).unwrap();
    assert_eq!(parsed.query.types, [type_id("Patient"), type_id("Group")]);
    assert_eq!(
        read("", "_tag=x", true).unwrap().query.types.len(),
        model().types().len()
    );
    refused(
        "",
        "_type=Nobody",
        "search-value: _type: there is no resource type \"Nobody\"",
    );
    refused(
        "Patient",
        "_type=Patient",
        "search-parameter-unknown: Patient has no search parameter \"_type\"",
    );
}

#[test]
fn chains() {
    for (query, want) in [
        (
            "subject:Patient.name=x",
            "Observation.subject -> {Patient Patient.name: 'x*'}",
        ),
        (
            "patient.name:exact=x",
            "Observation.patient -> {Patient Patient.name: 'x'}",
        ),
        (
            "subject.name=x",
            "Observation.subject -> {Patient Patient.name: 'x*'; Location Location.name: 'x*'}",
        ),
        (
            "patient.organization.name=x",
            "Observation.patient -> {Patient Patient.organization -> {Organization Organization.name: 'x*'}}",
        ),
        ("patient._id=7", "Observation.patient -> {Patient id 7}"),
        (
            "subject:Patient._id:not=7",
            "Observation.subject -> {Patient not id 7}",
        ),
        (
            "patient._has:Group:member:_id=7",
            "Observation.patient -> {Patient Group.member <- Group id 7}",
        ),
        (
            "patient._lastUpdated=ge2020",
            "Observation.patient -> {Patient Patient._lastUpdated: ge 2020-01-01..2021-01-01}",
        ),
    ] {
        check("Observation", query, want);
    }
    for (query, want) in [
        (
            "_has:Observation:patient:code=x",
            "Observation.patient <- Observation Observation.code: x",
        ),
        (
            "_has:Observation:patient:code:missing=true",
            "Observation.patient <- Observation Observation.code: missing true",
        ),
        (
            "_has:Observation:patient:_has:AuditEvent:entity:agent-name=x",
            "Observation.patient <- Observation AuditEvent.entity <- AuditEvent AuditEvent.agent-name: 'x*'",
        ),
        (
            "_has:Observation:patient:performer:Practitioner.name=x",
            "Observation.patient <- Observation Observation.performer -> {Practitioner Practitioner.name: 'x*'}",
        ),
    ] {
        check("Patient", query, want);
    }
}

#[test]
fn what_is_wrong_is_said() {
    for (query, want) in [
        (
            "nonsense=1",
            "search-parameter-unknown: Patient has no search parameter \"nonsense\"",
        ),
        (
            "name=",
            "search-parameter-unknown: the parameter \"name\" has no value",
        ),
        ("name=a,,b", "search-value: \"name\": a value is empty"),
        (
            "name:exactly=a",
            "search-modifier: \"name\": the modifier \"exactly\" is not supported on a parameter of type string",
        ),
        (
            "birthdate:exact=2000",
            "search-modifier: \"birthdate\": the modifier \"exact\" is not supported on a parameter of type date",
        ),
        (
            "gender:missing=maybe",
            "search-value: \"gender\": :missing is true or false",
        ),
        (
            "active=yes",
            "search-value: \"active\": the value is true or false",
        ),
        (
            "identifier=|",
            "search-value: \"identifier\": a token is code, system|code, |code or system|",
        ),
        (
            "name=%CC%81",
            "search-value: \"name\": the text has no letters to compare",
        ),
        (
            "_id=a_b",
            "search-value: \"_id\": no id: an id has 1 to 64 characters of A-Z, a-z, 0-9, '-' and '.'",
        ),
        (
            "_id:text=a",
            "search-modifier: \"_id\": the modifier \"text\" is not supported on a parameter of type token",
        ),
        (
            "organization=a b",
            "search-value: \"organization\": a reference is Type/id, an id or an absolute URL",
        ),
        (
            "organization=%23a",
            "search-value: \"organization\": contained resources cannot be searched for",
        ),
        (
            "organization:Patient=1",
            "search-modifier: \"organization\" never refers to \"Patient\"",
        ),
        (
            "organization:Nobody=1",
            "search-modifier: \"organization\": the modifier \"Nobody\" is not supported on a parameter of type reference",
        ),
        (
            "organization.nonsense=1",
            "search-parameter-unknown: Organization has no search parameter \"nonsense\"",
        ),
        (
            "general-practitioner.nonsense=1",
            "search-parameter-unknown: no type that \"general-practitioner\" refers to has the search parameter \"nonsense\"",
        ),
        (
            "name.family=1",
            "search-modifier: \"name\" is of type string and cannot be followed; only references can",
        ),
        (
            "_has:Observation:patient=1",
            "search-modifier: _has needs a type, a reference parameter and a parameter: _has:Type:reference:name",
        ),
        (
            "_has:Nobody:patient:code=1",
            "search-value: there is no resource type \"Nobody\"",
        ),
        (
            "_has:Encounter:location:status=1",
            "search-value: _has: \"location\" of Encounter never refers to what is searched",
        ),
        (
            "_filter=name eq x",
            "not-supported: the parameter \"_filter\" is not supported",
        ),
        (
            "_sort=nonsense",
            "search-parameter-unknown: Patient has no search parameter \"nonsense\"",
        ),
        ("_count=-1", "search-value: _count: a number, zero or more"),
        (
            "_count=1&_count=2",
            "search-value: _count: given more than once",
        ),
        (
            "_total=some",
            "search-value: _total: one of none, estimate, accurate",
        ),
        (
            "_summary=yes",
            "search-value: _summary: one of true, text, data, count, false",
        ),
        (
            "_summary=true&_elements=name",
            "search-value: _summary and _elements cannot be combined",
        ),
        (
            "_elements=name,",
            "search-value: _elements: names of elements of the resource, with commas between",
        ),
        (
            "_include=Patient",
            "search-value: _include: the form is Type:parameter or Type:parameter:Target",
        ),
        (
            "_include=Patient:nonsense",
            "search-value: Patient has no search parameter \"nonsense\"",
        ),
        (
            "_include=Patient:name",
            "search-value: _include: \"name\" is not a reference",
        ),
        (
            "_include=Patient:organization:Group",
            "search-value: _include: \"organization\" never refers to the type named",
        ),
        (
            "_include:always=Patient:link",
            "search-modifier: _include takes no modifier \"always\"",
        ),
        (
            "_revinclude=*",
            "search-value: _revinclude: the form is Type:parameter or Type:parameter:Target",
        ),
        (
            "a=%",
            "request-invalid: the query string has a % that two hexadecimal digits do not follow",
        ),
        (
            "a=%FF",
            "request-invalid: the query string has percent-encoded bytes that are not UTF-8",
        ),
        (
            "gender=m&birthdate=x&nothing=y",
            "search-value: \"birthdate\": not a date: an optional prefix (eq ne gt lt ge le sa eb ap), then YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm[:ss[.f]][Z|+hh:mm] & search-parameter-unknown: Patient has no search parameter \"nothing\"",
        ),
    ] {
        refused("Patient", query, want);
    }
    refused(
        "Location",
        "near=1|2",
        "not-supported: the parameter \"near\" is not supported",
    );
    refused(
        "Observation",
        "value-quantity=5|mg",
        "search-value: \"value-quantity\": a quantity is number, number|system|code or number||code",
    );
    refused(
        "Observation",
        "value-quantity=xx5",
        "search-value: \"value-quantity\": not a number: an optional prefix (eq ne gt lt ge le sa eb ap), then digits",
    );
    refused(
        "Observation",
        "code-value-quantity=5",
        "search-value: \"code-value-quantity\": the value has the form code$value-quantity",
    );
    refused(
        "Observation",
        "code-value-quantity:missing=5",
        "search-value: \"code-value-quantity\": :missing is true or false",
    );
}

#[test]
fn limits_are_named() {
    let limit = |target: &str, query: &str| {
        let outcome = read(target, query, false).unwrap_err();
        outcome.0.first().and_then(|i| i.limit).unwrap_or("none")
    };
    assert_eq!(
        limit("Patient", &format!("name={}", "x".repeat(70_000))),
        "query_bytes_max"
    );
    assert_eq!(
        limit("Patient", &"name=x&".repeat(10)),
        "query_parameters_max"
    );
    assert_eq!(limit("Patient", "name=a,b,c,d,e,f"), "query_values_max");
    let long = "patient.link:Patient.link:Patient.link:Patient.link:Patient.link:Patient.link:Patient.name=x";
    assert_eq!(limit("Observation", long), "chain_depth_max");
    let nested = format!("{}_id=x", "_has:Patient:link:".repeat(8));
    assert_eq!(limit("Patient", &nested), "chain_depth_max");
    let nowhere = "focus.subject.subject.subject.subject.nonsense=x";
    assert_eq!(limit("Observation", nowhere), "query_clauses_max");
    assert_eq!(
        limit(
            "Observation",
            "focus.subject.subject.subject.subject.identifier=x"
        ),
        "query_clauses_max"
    );
}

#[test]
fn lenient_reading_ignores_what_it_does_not_know() {
    let parsed = read(
        "Patient",
        "nonsense=1&name=x&name=&organization.foo=1&_format=json&_cursor=c",
        false,
    )
    .unwrap();
    let issues: Vec<_> = parsed
        .issues
        .iter()
        .map(|i| i.diagnostics.as_str())
        .collect();
    assert_eq!(
        issues,
        [
            "Patient has no search parameter \"nonsense\"; it was ignored",
            "the parameter \"name\" has no value; it was ignored",
            "Organization has no search parameter \"foo\"; it was ignored",
        ]
    );
    assert_eq!(parsed.self_query, "name=x");
    let control =
        [("_format", "json"), ("_cursor", "c")].map(|(n, v)| (n.to_owned(), v.to_owned()));
    assert_eq!(parsed.control, control);
    assert!(read("Patient", "nonsense=1&birthdate=x", false).is_err());
}

#[test]
fn the_self_link_can_be_read_again() {
    let query =
        "name=M%c3%bc%26ller%2C+x,y&identifier=urn:mrn|7%5C|8&_sort=-birthdate&birthdate=ge2020%2B";
    let query = query.trim_end_matches("%2B");
    let first = read("Patient", query, true).unwrap();
    assert_eq!(
        first.self_query,
        "name=M%C3%BC%26ller,%20x,y&identifier=urn:mrn%7C7%5C%7C8&_sort=-birthdate&birthdate=ge2020"
    );
    let again = read("Patient", &first.self_query, true).unwrap();
    assert_eq!(first, again);
}

#[test]
fn results_are_shaped() {
    let q = |query: &str| read("Patient", query, true).unwrap().query;
    assert_eq!((q("").count, q("").total), (50, Total::None));
    assert_eq!(q("_count=7").count, 7);
    assert_eq!(q("_count=99999999999999999999").count, 1_000);
    assert_eq!(q("_total=accurate").total, Total::Accurate);
    assert_eq!(q("_summary=true").shape, Shape::Summary);
    assert_eq!(
        q("_summary=false&_elements=id").shape,
        Shape::Elements(vec!["id".into()])
    );
    let counted = q("_summary=count&_count=5");
    assert_eq!(
        (counted.count, counted.total, counted.shape),
        (0, Total::Accurate, Shape::Whole)
    );
    let elements = vec![
        "name".to_owned(),
        "birthDate".to_owned(),
        "active".to_owned(),
    ];
    assert_eq!(
        q("_elements=name,birthDate&_elements=active").shape,
        Shape::Elements(elements)
    );
    let sort: Vec<_> = q("_sort=family,-birthdate&_sort=-_lastUpdated,_id")
        .sort
        .iter()
        .map(|key| {
            let by = match &key.by {
                SortBy::Id => "_id".to_owned(),
                SortBy::LastUpdated(ids) | SortBy::Param(ids, _) => params(ids),
            };
            format!("{}{by}", if key.descending { "-" } else { "" })
        })
        .collect();
    assert_eq!(
        sort,
        [
            "Patient.family",
            "-Patient.birthdate",
            "-Patient._lastUpdated",
            "_id"
        ]
    );
}

#[test]
fn includes() {
    let include = |query: &str| {
        let parsed = read("Observation", query, true).unwrap();
        let one = parsed.query.include.first().unwrap().clone();
        let ids: Vec<_> = one.params.iter().map(|(_, id)| *id).collect();
        (
            one.reverse,
            one.iterate,
            ids,
            one.target.map(|t| model().type_name(t)),
        )
    };
    let (reverse, iterate, ids, target) = include("_include=Observation:subject:Patient");
    assert_eq!(
        (reverse, iterate, params(&ids).as_str(), target),
        (false, false, "Observation.subject", Some("Patient"))
    );
    let (reverse, iterate, ids, target) = include("_revinclude:iterate=Provenance:target");
    assert_eq!(
        (reverse, iterate, params(&ids).as_str(), target),
        (true, true, "Provenance.target", None)
    );
    let (.., all, _) = include("_include=Observation:*");
    assert!(all.len() > 10, "{}", params(&all));
    assert_eq!(include("_include=*").2, all);
}

#[test]
fn a_query_tells_what_it_looks_at() {
    let query = "subject.name=x&_has:Provenance:target:agent.name=y&_sort=-date&_include=Observation:encounter&_id=7";
    let parsed = read("Observation", query, true).unwrap();
    let mut got: Vec<_> = parsed
        .query
        .mentions(model())
        .map(|(_, id)| params(&[id]))
        .collect();
    got.sort();
    let mut want = [
        "Observation.subject",
        "Patient.name",
        "Location.name",
        "Provenance.target",
        "Provenance.agent",
        "Practitioner.name",
        "RelatedPerson.name",
        "Organization.name",
        "Patient.name",
        "Observation.date",
        "Observation.encounter",
        "Observation._id",
    ];
    want.sort_unstable();
    let mut want = want.to_vec();
    want.dedup();
    assert_eq!(got, want);
}

#[test]
fn what_is_served_can_be_asked() {
    for type_id in model().types() {
        let name = model().type_name(type_id);
        let served = crate::search::served(model(), type_id);
        assert!(served.len() >= 6, "{name}");
        for s in served {
            assert_ne!(s.param.code, "near");
            for modifier in s.modifiers {
                let value = match *modifier {
                    "missing" => "true",
                    "type" => continue,
                    "not" if s.param.code != "_id" => "true",
                    _ => "x",
                };
                let query = format!("{}:{modifier}={value}", s.param.code);
                assert!(read(name, &query, true).is_ok(), "{name}?{query}");
            }
        }
    }
}

proptest::proptest! {
    #[test]
    fn nothing_panics(query in "[ -~é&=:.,|$\\\\%+]{0,80}") {
        let _ = read("Patient", &query, false);
        let _ = read("", &query, true);
    }

    #[test]
    fn nothing_panics_near_sense(
        name in "(name|code|subject|_has|_id|_include|_sort|value-quantity|code-value-quantity|date|focus)",
        rest in "(:|\\.|:Patient\\.|:Observation:|:missing|:not)?[a-z_:.]{0,12}",
        value in "(ge|ap|eq)?[0-9T:.|$,\\\\a-zA-Z/#*-]{0,24}",
    ) {
        let _ = read("Observation", &format!("{name}{rest}={value}"), false);
    }

    #[test]
    fn escapes_are_undone(text in "[a-z,|$\\\\]{0,20}") {
        let mut escaped = String::new();
        for c in text.chars() {
            if ",|$\\".contains(c) {
                escaped.push('\\');
            }
            escaped.push(c);
        }
        proptest::prop_assert_eq!(super::text::unescape(&escaped), text.as_str());
        proptest::prop_assert_eq!(super::text::split(&escaped, ','), vec![escaped.as_str()]);
    }

    #[test]
    fn folding_twice_changes_nothing(text in "\\PC{0,24}") {
        let once = crate::search::rows::fold(&text).into_owned();
        proptest::prop_assert_eq!(crate::search::rows::fold(&once), once.as_str());
    }
}
