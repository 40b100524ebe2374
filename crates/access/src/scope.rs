//! SMART v2 scopes (SMART App Launch 2.2, "Scopes for requesting FHIR Resources"), and the words
//! beside them that are about signing in and launching.

use fhir::definitions::{Model, TypeId};

use crate::action::ActionName;
use crate::permit::TypeSet;

/// Why a scope string was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// Not of the form `system/Type.cruds`, nor a word that is known.
    #[error("\"{0}\" is not a scope of the form system/Type.cruds")]
    Form(String),
    /// The type does not exist in the tenant's version of FHIR.
    #[error("\"{0}\" names a resource type that this tenant does not have")]
    Type(String),
    /// What follows `?` is no search query.
    #[error("\"{0}\" is narrowed by what is no search query")]
    Query(String),
    /// Nothing was asked for.
    #[error("no scope was given")]
    Empty,
}

const LETTERS: &[u8; 5] = b"cruds";

/// Whose rights a scope is a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScopeContext {
    /// The client's own.
    System,
    /// The person's.
    User,
    /// The person's, about the patient in context.
    Patient,
}

impl ScopeContext {
    /// The word before the slash.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Patient => "patient",
        }
    }
}

/// One scope on resources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceScope {
    /// Whose rights it is a part of.
    pub context: ScopeContext,
    /// The types; all for `*`.
    pub types: TypeSet,
    /// The interactions: of `cruds`, in this order.
    pub letters: Box<str>,
    /// The search query that narrows it, as it was written.
    pub query: Option<Box<str>>,
    /// Its query is a word of whoever has the token, and not one that their client is registered with: it
    /// is a search of theirs, and guarded as one.
    pub chosen: bool,
    /// The scope as it was written.
    pub text: Box<str>,
}

impl ResourceScope {
    /// Whether it allows an action on its types.
    pub fn allows(&self, action: ActionName) -> bool {
        action
            .letter()
            .is_some_and(|letter| self.letters.as_bytes().contains(&letter))
    }
}

/// What a client may do, by interaction and type, and the words beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scopes {
    text: Box<str>,
    /// Types by letter, of scopes that neither a query nor the patient in context narrows.
    by_letter: [TypeSet; 5],
    resources: Vec<ResourceScope>,
    /// Those on no resource.
    words: Vec<&'static str>,
}

/// Scopes on no resource that are known.
const WORDS: &[&str] = &[
    "openid",
    "profile",
    "fhirUser",
    "launch",
    "launch/patient",
    "launch/encounter",
    "offline_access",
    "online_access",
];

impl Scopes {
    /// Reads space-separated scopes. `system/Type.read`, `.write` and `.*` of SMART v1 are taken
    /// as `rs`, `cud` and `cruds`.
    pub fn parse(text: &str, model: &Model) -> Result<Self, ScopeError> {
        let mut resources = Vec::new();
        let mut words = Vec::new();
        let mut all = Vec::new();
        for word in text.split_ascii_whitespace() {
            match WORDS.iter().find(|known| **known == word) {
                Some(known) => words.push(*known),
                None => resources.push(scope(word, model)?),
            }
            all.push(word);
        }
        if all.is_empty() {
            return Err(ScopeError::Empty);
        }
        Ok(Self::put_together(all.join(" ").into(), resources, words))
    }

    fn put_together(
        text: Box<str>,
        resources: Vec<ResourceScope>,
        words: Vec<&'static str>,
    ) -> Self {
        let mut by_letter = [const { TypeSet::EMPTY }; 5];
        let wide = |s: &&ResourceScope| s.query.is_none() && s.context != ScopeContext::Patient;
        for scope in resources.iter().filter(wide) {
            for (letter, set) in LETTERS.iter().zip(&mut by_letter) {
                if scope.letters.as_bytes().contains(letter) {
                    set.add_all(&scope.types);
                }
            }
        }
        Self {
            text,
            by_letter,
            resources,
            words,
        }
    }

    /// Every right of a context.
    pub(crate) fn all(context: ScopeContext, model: &Model) -> Self {
        let text: Box<str> = format!("{}/*.cruds", context.as_str()).into();
        let scope = ResourceScope {
            context,
            types: model.types().collect(),
            letters: "cruds".into(),
            query: None,
            chosen: false,
            text: text.clone(),
        };
        Self::put_together(text, vec![scope], Vec::new())
    }

    /// What a way in for bulk loading may do: create and update, and search for what conditional
    /// writes and references name ([`crate::Target::Criteria`]); no read, no delete.
    pub const IMPORT: &'static str = "system/*.cus";

    /// The scopes as they were given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Those on resources, narrowed ones too.
    pub fn resources(&self) -> &[ResourceScope] {
        &self.resources
    }

    /// Whether a word beside those on resources is among them: `openid`, `launch/patient`, …
    pub fn has(&self, word: &str) -> bool {
        self.words.contains(&word)
    }

    /// Types on which an action is allowed, by scopes that neither a query nor the patient in context
    /// narrows.
    pub fn types(&self, action: ActionName) -> &TypeSet {
        action
            .letter()
            .and_then(|l| LETTERS.iter().position(|x| *x == l))
            .and_then(|i| self.by_letter.get(i))
            .unwrap_or(&TypeSet::EMPTY)
    }

    /// Those of these contexts, without words.
    #[must_use]
    pub fn only(&self, contexts: &[ScopeContext]) -> Self {
        let kept = |s: &&ResourceScope| contexts.contains(&s.context);
        let resources: Vec<ResourceScope> = self.resources.iter().filter(kept).cloned().collect();
        let text: Vec<&str> = resources.iter().map(|s| &*s.text).collect();
        Self::put_together(text.join(" ").into(), resources, Vec::new())
    }

    /// The part of `self` that `other` also grants. A query that is none of `self`'s is known from there on
    /// as chosen, and is taken only where everything that it may look at may be searched.
    #[must_use]
    pub fn narrowed_to(&self, other: &Self) -> Self {
        let mut by_letter = self.by_letter.clone();
        for (mine, theirs) in by_letter.iter_mut().zip(&other.by_letter) {
            mine.keep_only(theirs);
        }
        let has = |word: &&&str| self.has(word);
        let resources = other.resources.iter().filter_map(|s| self.given(s));
        Self {
            text: other.text.clone(),
            by_letter,
            resources: resources.collect(),
            words: other.words.iter().filter(has).copied().collect(),
        }
    }

    /// Whether every right of `other` is one of `self`'s.
    pub fn covers(&self, other: &Self) -> bool {
        other.resources.iter().all(|s| self.grants(s)) && other.words.iter().all(|w| self.has(w))
    }

    /// Whether somebody who has `self` may have a token with `other`.
    pub fn gives(&self, other: &Self) -> bool {
        self.covers(other) && other.resources.iter().all(|s| self.given(s).is_some())
    }

    /// Whether a scope is a part of these: for each of its letters, each of its types is in one that
    /// is not narrowed in another way.
    fn grants(&self, asked: &ResourceScope) -> bool {
        self.grants_by(asked, |s| s.query.is_none() || s.query == asked.query)
    }

    fn grants_by(&self, asked: &ResourceScope, by: impl Fn(&ResourceScope) -> bool) -> bool {
        asked.letters.bytes().all(|letter| {
            let allowing = |s: &ResourceScope| s.letters.as_bytes().contains(&letter) && by(s);
            self.types_by(asked.context, allowing)
                .contains_all(&asked.types)
        })
    }

    /// Types of scopes of a context.
    fn types_by(&self, context: ScopeContext, by: impl Fn(&ResourceScope) -> bool) -> TypeSet {
        let mut types = TypeSet::EMPTY;
        let own = self.resources.iter().filter(|s| s.context == context);
        for scope in own.filter(|s| by(s)) {
            types.add_all(&scope.types);
        }
        types
    }

    /// A scope that is asked for, as it is given.
    fn given(&self, asked: &ResourceScope) -> Option<ResourceScope> {
        if !self.grants(asked) {
            return None;
        }
        let mut given = asked.clone();
        given.chosen = asked.query.is_some()
            && !self.grants_by(asked, |s| s.query == asked.query && !s.chosen);
        let known = || self.grants_by(asked, |s| s.query == asked.query);
        let searched = || {
            let whole = |s: &ResourceScope| s.query.is_none() && s.allows(ActionName::Search);
            let types = self.types_by(asked.context, whole);
            types.contains_all(&asked.types)
        };
        (!given.chosen || known() || searched()).then_some(given)
    }
}

fn scope(word: &str, model: &Model) -> Result<ResourceScope, ScopeError> {
    let form = || ScopeError::Form(word.to_owned());
    let (context, rest) = word.split_once('/').ok_or_else(form)?;
    let context = match context {
        "system" => ScopeContext::System,
        "user" => ScopeContext::User,
        "patient" => ScopeContext::Patient,
        _ => return Err(form()),
    };
    let (rest, query) = match rest.split_once('?') {
        Some((rest, query)) => (rest, Some(query)),
        None => (rest, None),
    };
    let pair = |pair: &str| {
        pair.split_once('=')
            .is_some_and(|(name, _)| !name.is_empty())
    };
    if query.is_some_and(|query| !query.split('&').all(pair)) {
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
    Ok(ResourceScope {
        context,
        types,
        letters: letters.into(),
        query: query.map(Into::into),
        chosen: false,
        text: word.into(),
    })
}
