//! Where a package contradicts itself: search parameters that it publishes without an expression
//! for some type, or composites whose parts name parameters or elements that it does not have.
//! What they mean is plain from their descriptions and the elements of that version; a correction
//! is used only where the package itself gives nothing.

/// What a package should have said.
struct Correction {
    /// The parameter's canonical URL, without `http://hl7.org/fhir/SearchParameter/`.
    of: &'static str,
    /// The type and its expression.
    expression: Option<(&'static str, &'static str)>,
    /// `code kind expression` of each part.
    components: &'static [&'static str],
}

const BASE: &str = "http://hl7.org/fhir/SearchParameter/";

const CORRECTIONS: &[Correction] = &[
    // 5.0.0: published with an empty expression.
    expression(
        "ImagingStudy-reason",
        "ImagingStudy",
        "ImagingStudy.reason.concept",
    ),
    expression("Medication-form", "Medication", "Medication.doseForm"),
    expression(
        "MedicationKnowledge-packaging-cost",
        "MedicationKnowledge",
        "MedicationKnowledge.packaging.cost.cost.ofType(Money)",
    ),
    expression(
        "MedicationKnowledge-packaging-cost-concept",
        "MedicationKnowledge",
        "MedicationKnowledge.packaging.cost.cost.ofType(CodeableConcept)",
    ),
    // 5.0.0: the description names CareTeam, the expression forgets it.
    expression("clinical-date", "CareTeam", "CareTeam.period"),
    // 5.0.0: the parts are elements of `conformsTo`, the expression says `Device`.
    expression("Device-code-value-concept", "Device", "Device.conformsTo"),
    // 4.3.0: ends at the element around the reference.
    expression(
        "Ingredient-manufacturer",
        "Ingredient",
        "Ingredient.manufacturer.manufacturer",
    ),
    // 5.0.0: parts whose definition is not published.
    parts(
        "DeviceDefinition-specification-version",
        &[
            "specification token specification",
            "version string version",
        ],
    ),
    // 5.0.0: the parts are elements of the section, not of sections within it.
    parts(
        "Composition-section-code-text",
        &["section token code", "section-text special text"],
    ),
    parts(
        "Encounter-location-period",
        &["location reference location", "period date period"],
    ),
    parts("Ingredient-strength-concentration-ratio", RATIO),
    parts("Ingredient-strength-presentation-ratio", RATIO),
    parts(
        "Observation-code-value-string",
        &[
            "code token code",
            "value-string string value.ofType(string)",
        ],
    ),
    parts(
        "ResearchStudy-progress-status-state-actual",
        &["state token state", "actual token actual"],
    ),
    parts(
        "ResearchStudy-progress-status-state-period",
        &["state token state", "period date period"],
    ),
    parts(
        "ResearchStudy-progress-status-state-period-actual",
        &[
            "state token state",
            "period date period",
            "actual token actual",
        ],
    ),
    parts(
        "TestScript-scope-artifact-conformance",
        &[
            "artifact reference artifact",
            "conformance token conformance",
        ],
    ),
    parts(
        "TestScript-scope-artifact-phase",
        &["artifact reference artifact", "phase token phase"],
    ),
];

const RATIO: &[&str] = &[
    "numerator quantity numerator",
    "denominator quantity denominator",
];

const fn expression(of: &'static str, on: &'static str, expression: &'static str) -> Correction {
    Correction {
        of,
        expression: Some((on, expression)),
        components: &[],
    }
}

const fn parts(of: &'static str, components: &'static [&'static str]) -> Correction {
    Correction {
        of,
        expression: None,
        components,
    }
}

fn find(url: &str) -> Option<&'static Correction> {
    let of = url.strip_prefix(BASE)?;
    CORRECTIONS.iter().find(|c| c.of == of)
}

/// The expression on a type of a parameter that is published without one, or with one that stops
/// short of it.
pub(super) fn expression_of(url: &str, on: &str, published: &str) -> Option<&'static str> {
    let (of, expression) = find(url)?.expression?;
    let short = expression
        .strip_prefix(published)
        .is_some_and(|rest| rest.starts_with('.'));
    let named = published.contains(&format!("{on}."));
    (of == on && (short || !named)).then_some(expression)
}

/// The parts of a composite whose published parts lead nowhere, or astray.
pub(super) fn components_of(url: &str, version: &str) -> Option<Vec<String>> {
    // Other versions have parameters of the same URL that are right, or no composites.
    if version != "5.0.0" {
        return None;
    }
    let parts = find(url)?.components;
    (!parts.is_empty()).then(|| parts.iter().map(|p| (*p).to_owned()).collect())
}
