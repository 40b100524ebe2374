//! `search.html#token`

use crate::definitions::{Content, Primitive, ValueSetId};
use crate::outcome::Issue;
use crate::path::Type;

use super::super::extract::ParamPlan;
use super::super::query::{How, Match, TokenMatch};
use super::super::rows::fold;
use super::super::served::is_r5;
use super::super::value::{VALUE_BYTES_MAX, caseless, cut};
use super::Context;
use super::named::{Known, Named};
use super::text::{split, split_once, unescape};

/// The system that `true` and `false` have when someone must write one
/// (`search.html#token`).
const SPECIAL_VALUES: &str = "http://terminology.hl7.org/CodeSystem/special-values";

/// The system of MIME types (`terminologies-systems.html`).
const MIME_TYPES: &str = "urn:ietf:bcp:13";

impl Context<'_> {
    pub(super) fn token_value(&self, named: &Named<'_>, text: &str) -> Result<Match, Issue> {
        match named.modifier {
            None | Some("not") => {
                let token = self.without_kind(named, read(named, text)?);
                let code = token.code.as_deref().unwrap_or("true");
                if !matches!(code, "true" | "false") && self.is_boolean(named) {
                    return Err(named.bad_value("the value is true or false"));
                }
                let token = match is_caseless(named) {
                    true => TokenMatch {
                        code: token.code.map(|code| caseless(&code)),
                        ..token
                    },
                    false => token,
                };
                Ok(Match::Token(self.implied_system(named, token)))
            }
            Some("text") => {
                let text = folded(text);
                Ok(if is_r5(self.model.version()) {
                    Match::TokenTextPrefix(text)
                } else {
                    Match::TokenText(text)
                })
            }
            Some("code-text") => {
                let text = cut(&unescape(text), VALUE_BYTES_MAX).to_ascii_lowercase();
                Ok(Match::TokenCode(How::Begins, text))
            }
            Some(modifier @ "of-type") => {
                let identifies = |p: &Known<'_>| p.plan.is_some_and(ParamPlan::has_identifiers);
                if !named.params.iter().any(identifies) {
                    return Err(named.bad_modifier(modifier));
                }
                let parts: Vec<String> = split(text, '|')
                    .into_iter()
                    .map(|p| cut(&unescape(p), VALUE_BYTES_MAX).to_owned())
                    .collect();
                match parts.as_slice() {
                    [system, code, value] if !code.is_empty() && !value.is_empty() => {
                        let of = TokenMatch {
                            system: Some(system.clone()),
                            code: Some(code.clone()),
                        };
                        Ok(Match::OfType(of, value.clone()))
                    }
                    _ => Err(named.bad_value("with :of-type the value is system|code|value")),
                }
            }
            Some("in" | "not-in") => {
                let set = cut(&unescape(text), VALUE_BYTES_MAX).to_owned();
                let bare = self.is_bare(named);
                Ok(Match::InValueSet { set, bare })
            }
            Some(modifier @ ("above" | "below")) => match read(named, text)? {
                TokenMatch {
                    system: Some(system),
                    code: Some(code),
                } if !system.is_empty() => Ok(Match::Subsumed {
                    above: modifier == "above",
                    system,
                    code,
                    bare: self.is_bare(named),
                }),
                _ => Err(named.bad_value("with :above and :below the value is system|code")),
            },
            Some(other) => Err(named.bad_modifier(other)),
        }
    }

    /// An address of a ContactPoint in lower case, beside what is written: those of mail mean the same
    /// either way.
    pub(super) fn in_lower_case(&self, named: &Named<'_>, text: &str) -> Option<Match> {
        if !matches!(named.modifier, None | Some("not")) || !self.is_contact(named) {
            return None;
        }
        let token = self.without_kind(named, read(named, text).ok()?);
        let lower = token.code.as_ref()?.to_ascii_lowercase();
        if token.code.as_deref() == Some(lower.as_str()) {
            return None;
        }
        Some(Match::Token(TokenMatch {
            code: Some(lower),
            ..token
        }))
    }

    /// Addresses of ContactPoints have no system (`search.html#token`): what stands in its place is
    /// not looked at, and may be the kind of address, `phone|555`.
    fn without_kind(&self, named: &Named<'_>, token: TokenMatch) -> TokenMatch {
        let said = token.code.is_some() && token.system.as_deref().is_some_and(|s| !s.is_empty());
        match said && self.is_contact(named) {
            true => TokenMatch {
                system: None,
                ..token
            },
            false => token,
        }
    }

    /// Whether all its elements are ContactPoints.
    fn is_contact(&self, named: &Named<'_>) -> bool {
        self.is_of(named, &|content| match content {
            Content::Structure(id) => self.model.structure(id).path == "ContactPoint",
            _ => false,
        })
    }

    /// Whether `:below` asks for a MIME type and what is of it. Those have no system.
    pub(super) fn is_mime_below(&self, named: &Named<'_>, text: &str) -> bool {
        let mime = |p: &Known<'_>| p.plan.is_some_and(ParamPlan::is_mime);
        named.modifier == Some("below")
            && named.params.iter().all(mime)
            && split_once(text, '|').is_none_or(|(system, _)| matches!(system, "" | MIME_TYPES))
    }

    /// Whether all its elements are of such a type.
    fn is_of(&self, named: &Named<'_>, fits: &dyn Fn(Content) -> bool) -> bool {
        named.params.iter().all(|p| {
            p.plan.is_some_and(|plan| {
                let types = plan.plan.types();
                !types.is_empty() && types.iter().all(|t| fits(t.content()))
            })
        })
    }

    /// Whether its elements are codes, which carry no system.
    pub(super) fn is_bare(&self, named: &Named<'_>) -> bool {
        named.params.iter().all(|p| {
            p.plan.is_some_and(|plan| {
                let types = plan.plan.types();
                let code = |t: &Type| matches!(t.content(), Content::Primitive(Primitive::Code));
                !types.is_empty() && types.iter().all(code)
            })
        })
    }

    fn is_boolean(&self, named: &Named<'_>) -> bool {
        named.params.iter().all(|p| {
            p.plan
                .is_some_and(|plan| plan.plan.types() == [Type::BOOLEAN])
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
            p.plan.is_some_and(|plan| {
                let sets = plan.plan.codes();
                !sets.is_empty() && sets.iter().all(implied)
            })
        });
        if is_implied { bare } else { token }
    }
}

/// Whether case does not count in any of the parameters.
fn is_caseless(named: &Named<'_>) -> bool {
    let caseless = |p: &Known<'_>| p.plan.is_some_and(ParamPlan::is_caseless);
    !named.params.is_empty() && named.params.iter().all(caseless)
}

/// `:below` of a MIME type: it with or without parameters; of its first part: all that begin with it.
/// The case of MIME types does not count (RFC 6838 section 4.2).
pub(super) fn mime_below(text: &str) -> Vec<Match> {
    let text = split_once(text, '|').map_or(text, |(_, code)| code);
    let text = cut(&unescape(text), VALUE_BYTES_MAX).to_ascii_lowercase();
    let text = text.trim().trim_end_matches("/*").trim_end_matches('/');
    let code = |how, more: &str| Match::TokenCode(how, [text, more].concat());
    let mut all = vec![code(How::Is, "")];
    match text.contains('/') {
        true => all.extend([";", " "].map(|more| code(How::Begins, more))),
        false => all.push(code(How::Begins, "/")),
    }
    all
}

/// A text in the form in which it is compared.
pub(super) fn folded(text: &str) -> String {
    let text = unescape(text);
    cut(&fold(cut(&text, VALUE_BYTES_MAX)), VALUE_BYTES_MAX).to_owned()
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
