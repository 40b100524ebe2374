//! `search.html#token`

use crate::definitions::ValueSetId;
use crate::outcome::Issue;
use crate::path::Type;

use super::super::query::{Match, TokenMatch};
use super::super::rows::fold;
use super::super::value::{VALUE_BYTES_MAX, cut};
use super::Context;
use super::named::Named;
use super::text::{split_once, unescape};

/// The system that `true` and `false` have when someone must write one
/// (`search.html#token`).
const SPECIAL_VALUES: &str = "http://terminology.hl7.org/CodeSystem/special-values";

impl Context<'_> {
    pub(super) fn token_value(&self, named: &Named<'_>, text: &str) -> Result<Match, Issue> {
        match named.modifier {
            None | Some("not") => {
                let token = read(named, text)?;
                let code = token.code.as_deref().unwrap_or("true");
                if !matches!(code, "true" | "false") && self.is_boolean(named) {
                    return Err(named.bad_value("the value is true or false"));
                }
                Ok(Match::Token(self.implied_system(named, token)))
            }
            Some("text") => {
                let text = unescape(text);
                let folded = fold(cut(&text, VALUE_BYTES_MAX));
                Ok(Match::TokenText(cut(&folded, VALUE_BYTES_MAX).to_owned()))
            }
            Some(other) => Err(named.bad_modifier(other)),
        }
    }

    fn is_boolean(&self, named: &Named<'_>) -> bool {
        named.params.iter().all(|p| {
            let plan = self.plans.of_type(p.type_id).and_then(|t| t.param(p.id));
            plan.is_some_and(|plan| plan.plan.types() == [Type::BOOLEAN])
        })
    }

    /// Elements of type `code` carry no system; their required value set implies it. A query that
    /// names it means the bare code.
    pub(super) fn implied_system(&self, named: &Named<'_>, token: TokenMatch) -> TokenMatch {
        let Some(system) = token.system.as_deref().filter(|s| !s.is_empty()) else {
            return token;
        };
        let bare = TokenMatch {
            system: Some(String::new()),
            code: token.code.clone(),
        };
        if system == SPECIAL_VALUES && matches!(token.code.as_deref(), Some("true" | "false")) {
            return bare;
        }
        let implied = |set: &Option<ValueSetId>| {
            set.and_then(|id| self.model.value_set(id))
                .is_some_and(|set| match &token.code {
                    Some(code) => set.has(system, code),
                    None => set.has_system(system),
                })
        };
        let is_implied = named.params.iter().all(|p| {
            let plan = self.plans.of_type(p.type_id).and_then(|t| t.param(p.id));
            plan.is_some_and(|plan| {
                let sets = plan.plan.codes();
                !sets.is_empty() && sets.iter().all(implied)
            })
        });
        if is_implied { bare } else { token }
    }
}

/// `code`, `system|code`, `|code`, `system|`.
pub(super) fn read(named: &Named<'_>, text: &str) -> Result<TokenMatch, Issue> {
    let keep = |part: &str| cut(&unescape(part), VALUE_BYTES_MAX).to_owned();
    let Some((system, code)) = split_once(text, '|') else {
        return Ok(TokenMatch {
            system: None,
            code: Some(keep(text)),
        });
    };
    if system.is_empty() && code.is_empty() {
        return Err(named.bad_value("a token is code, system|code, |code or system|"));
    }
    let code = (!code.is_empty()).then(|| keep(code));
    Ok(TokenMatch {
        system: Some(keep(system)),
        code,
    })
}
