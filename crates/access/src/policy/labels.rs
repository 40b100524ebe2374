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
    "ALC", "BH", "COGN", "DRGIS", "DVD", "EMOTDIS", "ETH", "ETHUD", "GDIS", "GENETIC", "HIV",
    "IDS", "MH", "OPIOIDUD", "PSY", "PSYTHPN", "SCA", "SDV", "SEX", "SICKLE", "SPI", "STD", "SUD",
    "TBOO", "VIO",
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

/// What is labelled so high or higher, or so high or lower. What has no label is normal.
pub(super) enum Labelled {
    /// Everything.
    All,
    /// Nothing.
    None,
    /// What a search finds.
    Found(String),
    /// What a search does not find.
    NotFound(String),
}

/// What is labelled so high, or higher.
pub(super) fn from(rank: usize) -> Labelled {
    if rank <= NORMAL {
        let lower: Vec<&str> = MARKS.iter().take(rank).copied().collect();
        return match lower.is_empty() {
            true => Labelled::All,
            false => Labelled::NotFound(format!("_security={}", lower.join(","))),
        };
    }
    let marks: Vec<&str> = MARKS.iter().skip(rank).copied().collect();
    match marks.is_empty() {
        true => Labelled::None,
        false => Labelled::Found(format!("_security={}", marks.join(","))),
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
    let mut values: Vec<&str> = Vec::new();
    // By code alone, whatever the system: it only withholds.
    if cleared < NORMAL {
        // What has no label is normal, and withheld as well.
        return everything_but(cleared, type_id, surroundings);
    }
    values.extend(MARKS.iter().skip(cleared + 1).copied());
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
    if values.is_empty() {
        return Ok(None);
    }
    let text = format!("_security={}", values.join(","));
    let found = understood(type_id, &text, &Values::default(), surroundings, "labels");
    found.map(Some).map_err(drop)
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

/// Of whoever may see less than what is normal, all but that.
fn everything_but(
    cleared: usize,
    type_id: TypeId,
    surroundings: &Surroundings<'_>,
) -> Result<Option<Clause>, ()> {
    let marks: Vec<&str> = MARKS.iter().take(cleared + 1).copied().collect();
    let text = format!("_security={}", marks.join(","));
    let found = understood(type_id, &text, &Values::default(), surroundings, "labels");
    found.map(|c| Some(Clause::Not(Box::new(c)))).map_err(drop)
}
