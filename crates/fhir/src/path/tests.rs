use std::cell::Cell;

use super::{Item, Node, PathError, Plan, Types, parse};
use crate::definitions::{FhirVersion, Model};
use crate::json;

mod robust;

fn types() -> Types {
    Types::of(Model::of(FhirVersion::R4))
}

const PATIENT: &str = r##"{"resourceType":"Patient","id":"p","active":true,
  "contained":[{"resourceType":"Organization","id":"o"}],
  "name":[{"use":"official","family":"Chalmers","given":["Peter",null,"James"],
           "_given":[null,{"extension":[{"url":"http://x/n","valueString":"J."}]},null]},
          {"given":["Jim"]}],
  "telecom":[{"system":"phone","value":"1"},{"system":"email","value":"2"}],
  "_birthDate":{"extension":[{"url":"http://x/t","valueDateTime":"1974-12-25T14:35:45-05:00"}]},
  "deceasedBoolean":false,
  "managingOrganization":{"reference":"#o"},
  "generalPractitioner":[{"reference":"Practitioner/1"},{"reference":"http://e.org/fhir/Organization/2"},
    {"reference":"urn:uuid:7","type":"PractitionerRole"},{"identifier":{"value":"x"}}],
  "extension":[{"url":"http://x/e","valueCode":"c"}]}"##;

/// What an expression gives over a resource, printed as JSON texts.
fn eval(resource: &str, expression: &str) -> Result<Vec<String>, String> {
    let types = types();
    let doc = json::parse(resource.as_bytes(), 64).unwrap();
    let ty = types.of_resource(doc.root()).unwrap();
    let plan = Plan::compile(&types, ty, expression).map_err(|e| e.to_string())?;
    let node = Node::new(doc.root(), ty);
    let (steps, mut out) = (Cell::new(10_000), Vec::new());
    plan.evaluate(&types, node, node, &steps, &mut out)
        .map_err(|e| e.to_string())?;
    let print = |item: &Item<'_>| match item {
        Item::Node(n) => n.value.map_or("-".to_owned(), |v| v.raw().to_owned()),
        item => item.to_text(&types).unwrap_or_default().into_owned(),
    };
    Ok(out.iter().map(print).collect())
}

#[test]
fn expressions_yield() {
    for (expression, want) in [
        ("Patient.active", "true"),
        ("active", "true"),
        ("'2014-01'.toDate()", "2014-01"),
        ("'2014-01-01T10:00:00Z'.toDate()", ""),
        ("'2014-01-01T10:00:00Z'.convertsToDate()", "false"),
        ("@2014-01-01T10:00:00Z.toDate()", "2014-01-01"),
        ("Person.active", ""),
        ("Resource.id | Patient.active", "\"p\" true"),
        ("name.given", "\"Peter\" - \"James\" \"Jim\""),
        ("name[0].given[2]", "\"James\""),
        (
            "name.given.first() | name.given.last()",
            "\"Peter\" \"Jim\"",
        ),
        ("name.given.extension('http://x/n').value", "\"J.\""),
        ("birthDate.exists()", "true"),
        (
            "birthDate.extension('http://x/t').value.ofType(dateTime)",
            "\"1974-12-25T14:35:45-05:00\"",
        ),
        ("extension('http://x/e').value", "\"c\""),
        ("extension('http://x/e').value as string", "\"c\""),
        ("extension('http://x/e').value as boolean", ""),
        ("telecom.where(system='phone').value", "\"1\""),
        ("telecom.where(system != 'phone').value", "\"2\""),
        ("telecom.exists(system = 'fax')", "false"),
        ("deceased", "false"),
        ("deceased as boolean", "false"),
        ("(Patient.deceased as dateTime)", ""),
        ("deceased.exists() and deceased != false", "false"),
        ("deceased.is(boolean)", "true"),
        ("gender.exists() or active", "true"),
        ("gender = 'male'", ""),
        ("gender.empty().not()", "false"),
        ("true xor active", "false"),
        ("gender.exists() implies false", "true"),
        ("name.count() = 2", "true"),
        ("name.all(given.exists())", "true"),
        ("name.select(family)", "\"Chalmers\""),
        (
            "name.skip(1).given | name.tail().given | name.take(1).family",
            "\"Jim\" \"Chalmers\"",
        ),
        ("name.given | name.given", "\"Peter\" - \"James\" \"Jim\""),
        ("{}", ""),
        ("'a\\'b\\u0041'", "a'bA"),
        ("1.50 = 1.5", "true"),
        ("@2015-02 = @2015-02-04", ""),
        ("@2015-02-04 = @2015-02-05", "false"),
        (
            "generalPractitioner.where(resolve() is Practitioner).reference",
            "\"Practitioner/1\"",
        ),
        (
            "generalPractitioner.where(resolve() is Organization).count()",
            "1",
        ),
        (
            "generalPractitioner.where(resolve() is PractitionerRole).type",
            "\"PractitionerRole\"",
        ),
        (
            "managingOrganization.where(resolve() is Organization).exists()",
            "true",
        ),
        ("contained.ofType(Organization).id", "\"o\""),
        ("contained.id", "\"o\""),
        ("name.hasExtension('u')", "false"),
        (
            "%resource.name.where($this.family.exists()).use",
            "\"official\"",
        ),
        ("true or false and false", "true"),
        ("/* c */ active // end", "true"),
    ] {
        assert_eq!(
            eval(PATIENT, expression).unwrap().join(" "),
            want,
            "{expression}"
        );
    }
}

#[test]
fn digits_that_are_kept_are_not_negative() {
    for (expression, want) in [
        ("15.round()", "15"),
        ("15L.round(2)", "15"),
        ("1.55.round(1)", "1.6"),
    ] {
        let found = eval(PATIENT, expression).unwrap();
        assert_eq!(found.join(" "), want, "{expression}");
    }
    for wrong in [
        "15.round(-1)",
        "15L.round(-1)",
        "15.5.round(-1)",
        "15.round('1')",
    ] {
        assert!(eval(PATIENT, wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_choice_behind_a_cast_reads_one_member() {
    let observation = r#"{"resourceType":"Observation","valueQuantity":{"value":1},
        "component":[{"valueQuantity":{"value":2}},{"valueString":"s"}]}"#;
    for (expression, want) in [
        ("(Observation.value as Quantity).value", "1"),
        ("(Observation.component.value as Quantity).value", "2"),
        ("Observation.value.as(SampledData)", ""),
        (
            "(Observation | Observation.component).value.ofType(string)",
            "\"s\"",
        ),
        ("Observation.value is Quantity", "true"),
        ("component.referenceRange", ""),
    ] {
        assert_eq!(
            eval(observation, expression).unwrap().join(" "),
            want,
            "{expression}"
        );
    }
}

#[test]
fn what_cannot_be_computed_is_refused_when_compiling() {
    for (expression, want) in [
        ("Patient.nonsense", "Patient has no element \"nonsense\""),
        ("valueQuantity", "Patient has no element \"valueQuantity\""),
        ("name as Nonsense", "no type is called \"Nonsense\""),
        ("name.frobnicate()", "no function is called \"frobnicate\""),
        ("name.where()", "where() does not take 0 arguments"),
        ("name.", "expected a name at byte 5 of the expression"),
        (
            "name)",
            "expected an operator or the end at byte 4 of the expression",
        ),
        ("'abc", "string without end at byte 0 of the expression"),
        ("%nothing", "no variable is called %nothing here"),
    ] {
        assert_eq!(eval(PATIENT, expression).unwrap_err(), want, "{expression}");
    }
    let long = format!("active{}", ".not()".repeat(2_000));
    assert_eq!(parse(&long), Err(PathError::TooLarge));
    let deep = format!("{}active{}", "(".repeat(2_000), ")".repeat(2_000));
    assert_eq!(parse(&deep), Err(PathError::TooLarge));
}

#[test]
fn operators_bind_as_the_grammar_says() {
    for (expression, same) in [
        ("a or b and c", "a or (b and c)"),
        ("a implies b or c", "a implies (b or c)"),
        ("a = b | c", "a = (b | c)"),
        ("a | b as T", "a | (b as T)"),
        ("a + b * c - d", "(a + (b * c)) - d"),
        ("a < b = c", "(a < b) = c"),
        ("a in b and c", "(a in b) and c"),
        ("-a.b", "-(a.b)"),
        ("a & b is T", "(a & b) is T"),
        ("a.contains(b)", "(a).contains(b)"),
        ("4 days = 4 'd' or x", "((4 days) = (4 'd')) or x"),
    ] {
        assert_eq!(
            parse(expression).unwrap(),
            parse(same).unwrap(),
            "{expression}"
        );
    }
}

#[test]
fn an_evaluation_has_a_bound() {
    let types = types();
    let doc = json::parse(PATIENT.as_bytes(), 64).unwrap();
    let ty = types.of_resource(doc.root()).unwrap();
    let plan = Plan::compile(&types, ty, "name.given").unwrap();
    let node = Node::new(doc.root(), ty);
    let (steps, mut out) = (Cell::new(5), Vec::new());
    let stopped = plan.evaluate(&types, node, node, &steps, &mut out);
    assert_eq!(stopped, Err(super::EvalError::Steps));
}

#[test]
fn every_search_parameter_compiles() {
    let mut failed = Vec::new();
    for version in FhirVersion::ALL {
        uncompiled(&Types::of(Model::of(version)), &mut failed);
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

fn uncompiled(types: &Types, failed: &mut Vec<String>) {
    let model = types.model();
    for type_id in model.types() {
        let ty = types.resource(type_id).unwrap();
        for param in model.params(type_id) {
            let plan = match Plan::compile(types, ty, param.expression) {
                Ok(plan) => plan,
                Err(e) => {
                    failed.push(format!(
                        "{} {} {}: {e}",
                        model.version(),
                        model.type_name(type_id),
                        param.code
                    ));
                    continue;
                }
            };
            for component in &param.components {
                for focus in plan.types() {
                    if let Err(e) = Plan::compile_in(types, ty, *focus, component.expression) {
                        failed.push(format!(
                            "{} {} {}: {e}",
                            model.version(),
                            param.url,
                            component.code
                        ));
                    }
                }
            }
            // Published by R5, whose observations have no value of these types.
            let void = matches!(param.code, "value-canonical" | "component-value-canonical");
            if plan.types().is_empty() && !void {
                failed.push(format!(
                    "{} {} {} yields nothing",
                    model.version(),
                    model.type_name(type_id),
                    param.code
                ));
            }
        }
    }
}

#[test]
fn a_plan_tells_what_it_touches() {
    let types = types();
    let patient = types.by_name("Patient").unwrap();
    let touches = |text: &str| {
        let settings = super::Settings::default();
        let plan = Plan::compile_as(&types, &settings, Some(patient), Some(patient), text).unwrap();
        plan.touches(&types)
    };
    let touched = touches("name.where(use = 'official').given | deceased.ofType(boolean)");
    assert!(!touched.everything);
    let elements: Vec<_> = touched.elements.into_iter().collect();
    assert_eq!(
        elements,
        [
            ("HumanName", "given"),
            ("HumanName", "use"),
            ("Patient", "deceasedBoolean"),
            ("Patient", "deceasedDateTime"),
            ("Patient", "name"),
        ]
    );
    assert!(touches("descendants()").everything);
    assert!(touches("name.select(children())").everything);
    assert!(touches("iif(active, generalPractitioner.resolve().id, {})").everything);
    let touched = touches("contained.birthDate");
    assert_eq!(
        touched.anywhere.into_iter().collect::<Vec<_>>(),
        ["birthDate".into()]
    );
}
