//! Security labels (`meta.security`) as refusals: how confidential what somebody sees may be, and which
//! kinds of sensitive information.

use fhir::definitions::TypeId;
use fhir::search::query::Clause;

use super::compile::{Surroundings, among, understood};
use super::document::LabelRules;
use super::subject::Subject;
use super::variables::Values;

/// Confidentiality, lowest first (v3-Confidentiality).
const MARKS: [&str; 6] = ["U", "L", "M", "N", "R", "V"];
/// What is seen without more being said.
const NORMAL: usize = 3;
/// Kinds of sensitive information that are withheld from whoever is not named
/// (v3-ActInformationSensitivityPolicy).
pub(super) const SENSITIVE: &[&str] = &[
    "ADOL", "ALC", "BH", "CEL", "COGN", "DIA", "DRGIS", "DVD", "EMOTDIS", "EMP", "ETH", "ETHUD",
    "GDIS", "GENETIC", "HIV", "IDS", "MH", "MST", "OPIOIDUD", "PDS", "PHY", "PREGNANT", "PRS",
    "PSY", "PSYTHPN", "SCA", "SDV", "SEX", "SICKLE", "SPI", "STD", "SUD", "TBOO", "VIO",
];

/// How high a label stands among those of confidentiality.
pub(super) fn rank(system: &str, code: &str) -> Option<usize> {
    let confidentiality = system.is_empty()
        || system.ends_with("/v3-Confidentiality")
        || system.ends_with("/v3/Confidentiality")
        || system == "urn:oid:2.16.840.1.113883.5.25";
    let rank = MARKS.iter().position(|mark| *mark == code);
    rank.filter(|_| confidentiality)
}

/// Whether a policy may name a mark.
pub(super) fn is_mark(code: &str) -> bool {
    MARKS.contains(&code)
}

/// The code systems of confidentiality. Any other, and none, may raise a mark and never lowers it.
const SYSTEMS: [&str; 3] = [
    "http://terminology.hl7.org/CodeSystem/v3-Confidentiality",
    "http://hl7.org/fhir/v3/Confidentiality",
    "urn:oid:2.16.840.1.113883.5.25",
];

/// What may be labelled so high or higher: what a search finds, and where that is normal also the rest,
/// unless a search finds it.
pub(super) struct Marked {
    pub(super) found: Option<String>,
    pub(super) is_normal: bool,
    pub(super) unless: Option<String>,
}

/// What may be labelled so high, or higher. By a label in any system it is; what has several labels is
/// taken by the highest, and what has none is normal.
pub(super) fn from(rank: usize) -> Marked {
    let higher: Vec<&str> = MARKS.iter().skip(rank).copied().collect();
    let lower: Vec<String> = MARKS
        .iter()
        .take(rank)
        .flat_map(|mark| SYSTEMS.map(|system| format!("{system}%7C{mark}")))
        .collect();
    let one_of = |codes: String| (!codes.is_empty()).then(|| format!("_security={codes}"));
    Marked {
        found: one_of(higher.join(",")),
        is_normal: rank <= NORMAL,
        unless: one_of(lower.join(",")).filter(|_| rank <= NORMAL),
    }
}

/// What labels refuse somebody of a type; an error where it cannot be said.
pub(super) fn refused(
    rules: &LabelRules,
    subject: &Subject<'_>,
    type_id: TypeId,
    surroundings: &Surroundings<'_>,
) -> Result<Option<Clause>, ()> {
    let cleared = cleared(rules, subject);
    // By code alone, whatever the system: it only withholds.
    let mut values: Vec<&str> = MARKS.iter().skip(cleared + 1).copied().collect();
    let named = rules.sensitivity.keys().map(String::as_str);
    let mut kinds: Vec<&str> = SENSITIVE.iter().copied().chain(named).collect();
    kinds.sort_unstable();
    kinds.dedup();
    for kind in kinds {
        let who = rules.sensitivity.get(kind);
        if who.is_some_and(|who| among(who, subject).is_some()) {
            continue;
        }
        values.push(kind);
    }
    let ask = |text: &str| {
        let found = understood(type_id, text, &Values::default(), surroundings, "labels");
        found.map_err(drop)
    };
    let mut all = Vec::new();
    if !values.is_empty() {
        all.push(ask(&format!("_security={}", values.join(",")))?);
    }
    // What has no label is normal, and withheld as well from whoever sees less.
    if let Some(lower) = from(cleared + 1).unless {
        all.push(Clause::Not(Box::new(ask(&lower)?)));
    }
    Ok(match all.len() {
        0 | 1 => all.pop(),
        _ => Some(Clause::Or(all)),
    })
}

/// How confidential what somebody sees may be: by the role that lets them see most; of everybody by `*`.
fn cleared(rules: &LabelRules, subject: &Subject<'_>) -> usize {
    let of = |role: &str| {
        let mark = rules.confidentiality.get(role)?;
        MARKS.iter().position(|m| m == mark)
    };
    let own = subject.roles.iter().filter_map(|held| of(&held.role));
    own.chain(of("*")).max().unwrap_or(NORMAL)
}
