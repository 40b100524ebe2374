//! SMART v2 system scopes (SMART App Launch 2.2, "Scopes for requesting FHIR Resources").

use fhir::definitions::{Model, TypeId};

use crate::action::ActionName;
use crate::permit::TypeSet;

/// Why a scope string was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// Not of the form `system/Type.cruds`.
    #[error("\"{0}\" is not a scope of the form system/Type.cruds")]
    Form(String),
    /// The type does not exist in the tenant's version of FHIR.
    #[error("\"{0}\" names a resource type that this tenant does not have")]
    Type(String),
    /// Scopes narrowed by a search query are not granted.
    #[error("\"{0}\" is narrowed by a query; such scopes are not granted")]
    Query(String),
    /// Nothing was asked for.
    #[error("no scope was given")]
    Empty,
}

const LETTERS: &[u8; 5] = b"cruds";

/// What a client may do, by interaction and type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scopes {
    text: Box<str>,
    by_letter: [TypeSet; 5],
}

impl Scopes {
    /// Reads space-separated scopes. `system/Type.read`, `.write` and `.*` of SMART v1 are taken
    /// as `rs`, `cud` and `cruds`.
    pub fn parse(text: &str, model: &Model) -> Result<Self, ScopeError> {
        let mut by_letter = [const { TypeSet::EMPTY }; 5];
        let mut words = Vec::new();
        for word in text.split_ascii_whitespace() {
            let (types, letters) = scope(word, model)?;
            for (letter, set) in LETTERS.iter().zip(&mut by_letter) {
                if letters.as_bytes().contains(letter) {
                    set.add_all(&types);
                }
            }
            words.push(word);
        }
        if words.is_empty() {
            return Err(ScopeError::Empty);
        }
        Ok(Self {
            text: words.join(" ").into(),
            by_letter,
        })
    }

    /// What a way in for bulk loading may do: create and update, and search for what conditional
    /// writes and references name ([`crate::Target::Criteria`]); no read, no delete.
    pub const IMPORT: &'static str = "system/*.cus";

    /// The scopes as they were given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Types on which an action is allowed.
    pub(crate) fn types(&self, action: ActionName) -> &TypeSet {
        action
            .letter()
            .and_then(|l| LETTERS.iter().position(|x| *x == l))
            .and_then(|i| self.by_letter.get(i))
            .unwrap_or(&TypeSet::EMPTY)
    }

    /// The part of `self` that `other` also grants.
    pub fn narrowed_to(&self, other: &Self) -> Self {
        let mut by_letter = self.by_letter.clone();
        for (mine, theirs) in by_letter.iter_mut().zip(&other.by_letter) {
            mine.keep_only(theirs);
        }
        Self {
            text: other.text.clone(),
            by_letter,
        }
    }

    /// Whether every right of `other` is one of `self`'s.
    pub fn covers(&self, other: &Self) -> bool {
        self.by_letter
            .iter()
            .zip(&other.by_letter)
            .all(|(mine, theirs)| mine.contains_all(theirs))
    }
}

fn scope<'w>(word: &'w str, model: &Model) -> Result<(TypeSet, &'w str), ScopeError> {
    let form = || ScopeError::Form(word.to_owned());
    let rest = word.strip_prefix("system/").ok_or_else(form)?;
    if rest.contains('?') {
        return Err(ScopeError::Query(word.to_owned()));
    }
    let (type_name, letters) = rest.split_once('.').ok_or_else(form)?;
    let letters = match letters {
        "read" => "rs",
        "write" => "cud",
        "*" => "cruds",
        other => {
            let mut order = LETTERS.iter();
            let in_order = other.bytes().all(|b| order.any(|l| *l == b));
            if other.is_empty() || !in_order {
                return Err(form());
            }
            other
        }
    };
    let types: TypeSet = if type_name == "*" {
        model.types().collect()
    } else {
        let unknown = || ScopeError::Type(word.to_owned());
        std::iter::once::<TypeId>(model.type_id(type_name).ok_or_else(unknown)?).collect()
    };
    Ok((types, letters))
}
