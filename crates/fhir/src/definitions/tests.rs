use super::*;

fn r4() -> &'static Model {
    Model::of(FhirVersion::R4)
}

fn structure(path: &str) -> &'static Structure {
    r4().structure(r4().structure_named(path).unwrap())
}

#[test]
fn every_line_of_the_tables_is_understood() {
    let counts = [(146, 662), (141, 682), (158, 840)];
    for (version, (types, structures)) in FhirVersion::ALL.into_iter().zip(counts) {
        let (model, defects) = load::model(version);
        assert_eq!(defects, 0, "{version}");
        assert_eq!(model.version(), version);
        assert_eq!(model.types().len(), types, "{version}");
        assert_eq!(model.structures().len(), structures, "{version}");
        // The validator counts what it saw of a structure in 128 bits.
        assert!(model.structures().iter().all(|s| s.elements.len() <= 128));
        assert_eq!(FhirVersion::parse(version.as_str()), Some(version));
    }
    assert_eq!(FhirVersion::parse("4.0"), None);
}

#[test]
fn numbers_are_stable() {
    for (name, number) in [("Account", 1), ("Observation", 96), ("Patient", 103)] {
        assert_eq!(r4().type_id(name), Some(TypeId(number)), "{name}");
        assert_eq!(r4().type_name(TypeId(number)), name);
    }
    let patient = r4().type_id("Patient").unwrap();
    let name = r4().param(patient, "name").unwrap();
    assert_eq!(name.id, ParamId(1837));
    assert_eq!(r4().param_by_id(name.id).unwrap().code, "name");
    assert_eq!(r4().type_id("Resource"), None);
    assert_eq!(r4().type_name(TypeId(9999)), "");
    assert!(r4().param_by_id(ParamId(0)).is_none());
    // A type or parameter has one number in all versions that have it.
    let (r4b, r5) = (Model::of(FhirVersion::R4B), Model::of(FhirVersion::R5));
    assert_eq!(r4b.type_id("Patient"), Some(patient));
    assert_eq!(r5.param(patient, "name").map(|p| p.id), Some(name.id));
    let transport = r5.type_id("Transport").unwrap();
    assert!(r4().structure_of(transport).is_none() && r4b.structure_of(transport).is_none());
    assert_eq!(r4b.type_id("Transport"), None);
}

#[test]
fn the_registry_only_grows_at_its_end() {
    let registry = include_str!("../../definitions/registry.tsv");
    for kind in ["type", "param"] {
        let rows = registry.lines().map(|l| l.split('\t').collect::<Vec<_>>());
        let rows: Vec<_> = rows.filter(|cells| cells[0] == kind).collect();
        for (i, cells) in rows.iter().enumerate() {
            assert_eq!(cells[1].parse(), Ok(i + 1), "{cells:?}");
        }
        let names: std::collections::HashSet<_> = rows.iter().map(|cells| &cells[2..]).collect();
        assert_eq!(names.len(), rows.len());
    }
}

#[test]
fn numbers_are_unique() {
    for model in FhirVersion::ALL.map(Model::of) {
        let mut seen = std::collections::HashSet::new();
        for type_id in model.types() {
            for p in model.params(type_id) {
                let place = || format!("{} {}", model.type_name(type_id), p.url);
                assert_eq!(p.type_id, type_id);
                assert!(seen.insert(p.id), "{}", place());
                assert!(!p.expression.is_empty(), "{}", place());
                let (composite, reference) = (ParamKind::Composite, ParamKind::Reference);
                assert_eq!(p.kind == composite, !p.components.is_empty(), "{}", place());
                assert_eq!(p.kind == reference, !p.targets.is_empty(), "{}", place());
            }
            let base = [
                "_id",
                "_lastUpdated",
                "_profile",
                "_security",
                "_source",
                "_tag",
            ];
            assert!(base.iter().all(|c| model.param(type_id, c).is_some()));
        }
    }
}

#[test]
fn parameters_speak_of_their_type_only() {
    let check = |of: &str, code: &str, expression: &str, targets: &[&str]| {
        let p = r4().param(r4().type_id(of).unwrap(), code).unwrap();
        assert_eq!(p.expression, expression);
        let mut names: Vec<&str> = p.targets.iter().map(|&t| r4().type_name(t)).collect();
        names.sort_unstable();
        assert_eq!(names, targets);
    };
    check("Observation", "code", "Observation.code", &[]);
    check(
        "Observation",
        "patient",
        "Observation.subject.where(resolve() is Patient)",
        &["Patient"],
    );
    let doctors = ["Organization", "Practitioner", "PractitionerRole"];
    check(
        "Patient",
        "general-practitioner",
        "Patient.generalPractitioner",
        &doctors,
    );
    check("Patient", "_tag", "Resource.meta.tag", &[]);
    let observation = r4().type_id("Observation").unwrap();
    let pair = r4().param(observation, "code-value-quantity").unwrap();
    let parts: Vec<_> = pair
        .components
        .iter()
        .map(|c| (c.code, c.kind, c.expression))
        .collect();
    let code = ("code", ParamKind::Token, "code");
    assert_eq!(
        parts,
        [
            code,
            ("value-quantity", ParamKind::Quantity, "value.as(Quantity)")
        ]
    );
}

/// Value sets of required bindings whose codes are not known, and why.
const WITHOUT_CODES: [(&str, &str); 2] = [
    (
        "http://loinc.org/vs/LL379-9",
        "an answer list of LOINC, which is licensed apart",
    ),
    (
        "http://loinc.org/LL2938-0/",
        "an answer list of LOINC, which is licensed apart",
    ),
];

#[test]
fn every_required_value_set_has_codes() {
    for version in FhirVersion::ALL {
        let model = Model::of(version);
        let bound = load::bound_value_sets(version);
        assert!(bound.len() > 200, "{version:?}");
        for url in bound {
            let known = model.value_sets().iter().any(|s| s.url == url);
            let excepted = WITHOUT_CODES.iter().any(|(u, _)| *u == url);
            assert!(known != excepted, "{version:?} {url}");
        }
    }
}

#[test]
fn value_sets_of_other_code_systems_have_their_codes() {
    let set = |version, url: &str| {
        let found = Model::of(version)
            .value_sets()
            .iter()
            .find(|s| s.url == url);
        found.unwrap_or_else(|| panic!("{url}"))
    };
    let clinical = set(
        FhirVersion::R5,
        "http://hl7.org/fhir/ValueSet/condition-clinical",
    );
    let system = "http://terminology.hl7.org/CodeSystem/condition-clinical";
    assert!(clinical.has(system, "remission") && !clinical.has(system, "bogus"));
    let colors = set(FhirVersion::R5, "http://hl7.org/fhir/ValueSet/color-codes");
    for color in ["blue", "AliceBlue", "#00ff7F"] {
        assert!(colors.has_code(color), "{color}");
    }
    assert!(!colors.has_code("bleu"));
    let actors = "http://hl7.org/fhir/ValueSet/examplescenario-actor-type";
    assert!(set(FhirVersion::R4, actors).has_code("entity"));
    assert!(!set(FhirVersion::R5, actors).has_code("entity"));
    let types = set(FhirVersion::R4, "http://hl7.org/fhir/ValueSet/mimetypes");
    assert!(types.has("urn:ietf:bcp:13", "text/plain") && !types.has_code("plain"));
}

#[test]
fn elements_are_found_by_their_names() {
    let observation = structure("Observation");
    let found = observation.member("valueQuantity").unwrap();
    assert_eq!((found.element.name, found.of.name), ("value", "Quantity"));
    assert!(found.element.choice && found.element.summary && !found.element.repeats());
    assert!(observation.member("value").is_none());
    assert!(observation.member("valueMoney").is_none());
    assert!(observation.element("valueQuantity").is_none());
    assert_eq!(observation.element("value").unwrap().types.len(), 11);
    let status = observation.member("status").unwrap();
    let codes = r4()
        .value_set(status.element.required_codes.unwrap())
        .unwrap();
    assert!(codes.has_code("final") && !codes.has_code("finished"));
    assert_eq!(
        observation.member("contained").unwrap().of.content,
        Content::Resource
    );
    let id = observation.member("id").unwrap();
    assert_eq!(id.of.content, Content::Primitive(Primitive::Id));
    assert!(structure("Timing.repeat").member("boundsPeriod").is_some());
    assert!(structure("Age").member("value").is_some());
}

#[test]
fn backbone_elements_and_content_references_lead_to_structures() {
    let inside = |s: &'static Structure, name| match s.member(name).unwrap().of.content {
        Content::Structure(id) => r4().structure(id),
        other => panic!("{other:?}"),
    };
    let component = inside(structure("Observation"), "component");
    assert_eq!(component.path, "Observation.component");
    assert_eq!(
        inside(component, "referenceRange").path,
        "Observation.referenceRange"
    );
    assert_eq!(inside(component, "valueQuantity").path, "Quantity");
}

#[test]
fn every_name_of_every_structure_is_found() {
    for s in FhirVersion::ALL
        .into_iter()
        .flat_map(|v| Model::of(v).structures())
    {
        for element in &s.elements {
            assert_eq!(s.element(element.name).unwrap().name, element.name);
            for of in &element.types {
                assert_eq!(s.member(of.json).unwrap().of.name, of.name);
            }
        }
    }
}

#[test]
fn compartments_name_their_parameters() {
    let type_id = |n| r4().type_id(n).unwrap();
    let patient = r4().compartment(type_id("Patient")).unwrap();
    let codes = |of| {
        let ids = patient.params(type_id(of)).iter();
        ids.map(|&p| r4().param_by_id(p).unwrap().code)
            .collect::<Vec<_>>()
    };
    assert_eq!(codes("Observation"), ["subject", "performer"]);
    assert_eq!(codes("Organization"), Vec::<&str>::new());
    assert_eq!(r4().compartments().len(), 5);
    for compartment in r4().compartments() {
        for (member, params) in compartment.members() {
            assert!(!params.is_empty(), "{}", r4().type_name(member));
        }
    }
}
