//! Policies that are ready to be put into force: rules for sharing charts between the facilities of
//! one tenant, with the same roles.

use super::document::{
    Actions, BreakGlass, By, ConsentRules, ConsentsText, Document, Effect, GrantText, Require, Who,
};

/// A ready policy.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// How charts are reached by those who treat: the `by` of their grants.
    by: By,
}

/// Every ready policy.
pub const PRESETS: &[Preset] = &[
    Preset {
        name: "network-wide",
        about: "Whoever treats at a facility sees the charts of all facilities.",
        by: By::Network,
    },
    Preset {
        name: "own-facility",
        about: "Whoever treats sees charts of the patients whom their Organizations manage, and who were seen at their Locations.",
        by: By::Facility,
    },
    Preset {
        name: "care-team",
        about: "Whoever treats sees charts of patients in whose care teams they are.",
        by: By::CareTeam,
    },
    Preset {
        name: "by-consent",
        about: "Whoever treats sees charts of patients who gave their facilities consent.",
        by: By::Consent,
    },
];

/// What people of the house do not have as patients' data: who is who and where.
const DIRECTORY: &[&str] = &[
    "Organization",
    "Location",
    "Practitioner",
    "PractitionerRole",
    "HealthcareService",
    "Endpoint",
    "ValueSet",
    "CodeSystem",
    "Questionnaire",
    "Medication",
];
/// What billing needs of a chart.
const BILLING: &[&str] = &[
    "Account",
    "ChargeItem",
    "Claim",
    "ClaimResponse",
    "Coverage",
    "CoverageEligibilityRequest",
    "CoverageEligibilityResponse",
    "ExplanationOfBenefit",
    "Invoice",
];
/// When somebody or something is free.
const DIARIES: &[&str] = &["Schedule", "Slot"];
/// What a front desk works on.
const DESK: &[&str] = &[
    "Appointment",
    "AppointmentResponse",
    "Encounter",
    "Coverage",
    "RelatedPerson",
];
/// Who treats somebody, and with what: what patients look up.
const STAFF: &[&str] = &[
    "Organization",
    "Location",
    "Practitioner",
    "PractitionerRole",
    "HealthcareService",
    "Medication",
    "Questionnaire",
];
/// What of it is not for patients.
const STAFF_ONLY: &[&str] = &[
    "Practitioner.telecom",
    "Practitioner.address",
    "Practitioner.birthDate",
    "PractitionerRole.telecom",
    "PractitionerRole.contact",
];
/// What a whole tenant goes by: who is who and where, and what resources, terms and searches mean.
const OF_ALL: &[&str] = &[
    "Organization",
    "OrganizationAffiliation",
    "Location",
    "Practitioner",
    "PractitionerRole",
    "HealthcareService",
    "Endpoint",
    "ValueSet",
    "CodeSystem",
    "ConceptMap",
    "NamingSystem",
    "SearchParameter",
    "StructureDefinition",
    "StructureMap",
    "OperationDefinition",
    "CapabilityStatement",
    "CompartmentDefinition",
    "GraphDefinition",
    "MessageDefinition",
    "ImplementationGuide",
    "Subscription",
];
/// Holds for those who do not administer the tenant as well.
const NOT_ADMINISTRATORS: &str = "%roles.where($this = 'tenant-administrator').empty()";
/// What an Encounter says of why somebody came, by versions of FHIR.
const WHY: &[&str] = &[
    "Encounter.diagnosis",
    "Encounter.reasonCode",
    "Encounter.reasonReference",
    "Encounter.reason",
];

/// Whether a version of FHIR may lack an element of those that are hidden: it says the same in others, which are
/// hidden as well.
pub(super) fn is_elsewhere(path: &str, hidden: &[String]) -> bool {
    let instead: &[&str] = match path {
        "Encounter.reason" => &["Encounter.reasonCode", "Encounter.reasonReference"],
        "Encounter.reasonCode" | "Encounter.reasonReference" => &["Encounter.reason"],
        "PractitionerRole.contact" => &["PractitionerRole.telecom"],
        "PractitionerRole.telecom" => &["PractitionerRole.contact"],
        _ => return false,
    };
    instead.iter().all(|one| hidden.iter().any(|h| h == one))
}

fn texts(all: &[&str]) -> Vec<String> {
    all.iter().map(|one| (*one).to_owned()).collect()
}
/// What a laboratory works on.
const LAB: &[&str] = &[
    "ServiceRequest",
    "Specimen",
    "Observation",
    "DiagnosticReport",
];

/// The ready policy of a name.
pub fn preset(name: &str) -> Option<Document> {
    PRESETS
        .iter()
        .find(|p| p.name == name)
        .map(Preset::document)
}

/// A grant to one role.
struct To(&'static str);

impl To {
    fn may(self, what: &str, actions: &str, types: &[&str], by: Option<By>) -> GrantText {
        GrantText {
            name: format!("{}: {what}", self.0),
            effect: Effect::Allow,
            who: Who {
                roles: vec![self.0.to_owned()],
                ..Who::default()
            },
            actions: Actions::Letters(actions.to_owned()),
            types: texts(types),
            criteria: None,
            within: None,
            by,
            hide: Vec::new(),
            read_only: Vec::new(),
            when: None,
            networks: Vec::new(),
            require: Require::default(),
            break_glass: None,
        }
    }
}

impl Preset {
    /// The document.
    pub fn document(&self) -> Document {
        /// Charts of one's facilities: what those see who do not treat.
        const MANAGED: By = By::Facility;
        let mut grants = Vec::new();
        // What opens a chart is not written by those to whom it opens it.
        if let Some(key) = self.by.key() {
            let mut deny = To("clinician").may("what opens charts", "cud", &[key], None);
            deny.effect = Effect::Deny;
            deny.name = format!("those who treat do not write {key}");
            deny.who.roles.push("nurse".to_owned());
            grants.push(deny);
            let what = format!("{key} of patients");
            grants.push(To("front-desk").may(&what, "crus", &[key], Some(MANAGED)));
        }
        for role in [
            "clinician",
            "nurse",
            "biller",
            "front-desk",
            "lab",
            "vendor-read-only",
        ] {
            grants.push(To(role).may("the directory", "rs", DIRECTORY, None));
        }
        for (role, actions) in [
            ("clinician", "rs"),
            ("nurse", "rs"),
            ("biller", "rs"),
            ("front-desk", "crus"),
            ("lab", "rs"),
            ("vendor-read-only", "rs"),
        ] {
            grants.push(To(role).may("diaries", actions, DIARIES, Some(MANAGED)));
        }
        grants.push(To("tenant-administrator").may("diaries", "cruds", DIARIES, None));
        grants.push(To("tenant-administrator").may("the directory", "cruds", DIRECTORY, None));
        grants.push(To("auditor").may("the directory", "rs", DIRECTORY, None));
        let mut staff = To("patient").may("who treats", "rs", STAFF, None);
        staff.hide = texts(STAFF_ONLY);
        grants.push(staff);
        // In a network everybody who treats is given every type; else the types that are in a
        // patient's compartment.
        for (role, actions) in [("clinician", "cruds"), ("nurse", "crus")] {
            grants.push(To(role).may("charts", actions, &["*"], Some(self.by)));
        }
        if self.by == By::Network {
            let mut deny = To("clinician").may("", "cud", OF_ALL, None);
            deny.effect = Effect::Deny;
            deny.name = "those who treat do not write what all go by".to_owned();
            deny.who.roles.push("nurse".to_owned());
            deny.when = Some(NOT_ADMINISTRATORS.to_owned());
            grants.push(deny);
        } else {
            let mut emergency = To("clinician").may("emergency", "rs", &["*"], None);
            emergency.break_glass = Some(BreakGlass {
                minutes: None,
                reviewers: Some(Who {
                    roles: vec!["auditor".to_owned()],
                    ..Who::default()
                }),
            });
            grants.push(emergency);
        }
        grants.push(To("biller").may("accounts and claims", "crus", BILLING, Some(MANAGED)));
        let mut biller =
            To("biller").may("patients", "rs", &["Patient", "Encounter"], Some(MANAGED));
        biller.hide = texts(&["Patient.contact"]);
        biller.hide.extend(texts(WHY));
        grants.push(biller);
        grants.push(To("front-desk").may("patients", "crus", &["Patient"], Some(MANAGED)));
        let mut desk = To("front-desk").may("appointments", "crus", DESK, Some(MANAGED));
        desk.hide = texts(&["Encounter.diagnosis"]);
        grants.push(desk);
        grants.push(To("lab").may("orders and results", "crus", LAB, Some(MANAGED)));
        let mut lab = To("lab").may("patients", "rs", &["Patient"], Some(MANAGED));
        lab.hide = vec!["Patient.telecom".to_owned(), "Patient.address".to_owned()];
        grants.push(lab);
        grants.push(To("auditor").may("the trail", "rs", &["AuditEvent", "Provenance"], None));
        let mut trail = To("tenant-administrator").may("the trail", "rs", &["AuditEvent"], None);
        // What was searched for may name patients.
        trail.hide = vec!["AuditEvent.entity.query".to_owned()];
        grants.push(trail);
        let mut administrator = To("tenant-administrator").may("policy", "r", &["*"], None);
        administrator.actions = Actions::Words(vec!["administer".to_owned()]);
        grants.push(administrator);
        let mut own = To("patient").may("own chart", "rs", &["*"], None);
        own.within = Some("Patient?_id=%patient.id".to_owned());
        let mut taken = own.clone();
        taken.name = "patient: own chart to take along".to_owned();
        taken.actions = Actions::Words(vec!["export".to_owned()]);
        grants.extend([own, taken]);
        grants.push(To("vendor-read-only").may("charts", "rs", &["*"], Some(MANAGED)));
        Document {
            title: format!("{} ({})", self.about, self.name),
            grants,
            // What one consent permits another may refuse.
            consents: (self.by == By::Consent).then(|| {
                let of = |role: &str, codes: &[&str]| {
                    let codes = codes.iter().map(|c| (*c).to_owned()).collect();
                    (role.to_owned(), codes)
                };
                ConsentsText::Rules(ConsentRules {
                    purposes: [
                        of("*", &["TREAT"]),
                        of("biller", &["HPAYMT"]),
                        of("front-desk", &["HOPERAT"]),
                        of("auditor", &["HOPERAT"]),
                        of("tenant-administrator", &["HOPERAT"]),
                        of("patient", &["PATRQT"]),
                        // For which of them a vendor reads is not known: what refuses any is refused.
                        of("vendor-read-only", &["TREAT", "HOPERAT"]),
                    ]
                    .into(),
                    emergency: true,
                })
            }),
            labels: None,
        }
    }
}
