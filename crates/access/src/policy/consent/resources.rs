//! Conditions of provisions about resources, as searches of their type.

use fhir::definitions::{ParamKind, TypeId};

use super::asking::Asking;
use super::formula::{Bound, Formula};
use crate::action::ActionName;
use crate::policy::compile::understood;
use crate::policy::labels;
use crate::policy::variables::Values;

impl Asking<'_> {
    /// Resources that a search of their type finds.
    pub(super) fn asked(&self, type_id: TypeId, text: &str) -> Bound {
        match understood(
            type_id,
            text,
            &Values::default(),
            self.surroundings,
            "consents",
        ) {
            Ok(clause) => Bound::sure(Formula::of_clause(clause)),
            Err(_) => Bound::unclear(),
        }
    }

    /// Resources of which some coded element that searches look at has one of the codes.
    pub(super) fn coded(&self, codes: &[(Box<str>, Box<str>)], type_id: TypeId) -> Bound {
        let model = self.surroundings.model;
        let values = self.tokens_in_parts(codes);
        // Of most parameters they are the same: they are kept once.
        let mut shared = vec![None; values.len()];
        let mut any = Bound::sure(Formula::Never);
        for param in model.params(type_id) {
            let of_codes = param.kind == ParamKind::Token;
            let name = param.code;
            if !of_codes || name.starts_with('_') || name == "identifier" {
                continue;
            }
            // Of true and false no code is one.
            let takes = self.asked(type_id, &format!("{name}=x"));
            if matches!(takes.surely, Formula::Never) {
                continue;
            }
            for (value, shared) in values.iter().zip(&mut shared) {
                let found = self.asked(type_id, &format!("{name}={value}"));
                any = any.or(found.sharing(shared));
            }
        }
        any
    }

    /// Codes as values of token parameters, as many at once as one query may have.
    fn tokens_in_parts(&self, codes: &[(Box<str>, Box<str>)]) -> Vec<String> {
        let limits = self.surroundings.limits;
        let as_size = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX);
        let values_max = as_size(limits.query_values_max);
        let bytes_max = as_size(limits.query_bytes_max) / 2;
        let mut parts: Vec<(usize, String)> = Vec::new();
        for code in codes {
            let text = tokens(std::slice::from_ref(code));
            match parts.last_mut() {
                Some((count, part))
                    if *count < values_max && part.len() + text.len() < bytes_max =>
                {
                    *count += 1;
                    part.push(',');
                    part.push_str(&text);
                }
                _ => parts.push((1, text)),
            }
        }
        parts.into_iter().map(|(_, part)| part).collect()
    }

    /// What may be marked so high, or higher.
    fn marked(&self, mark: usize, type_id: TypeId) -> Formula {
        let marked = labels::from(mark);
        let found = |text: &str| self.asked(type_id, text);
        let unless = marked.unless.as_deref().map(found);
        let where_found = marked.found.as_deref().map(found);
        let rest = match marked.is_normal {
            true => unless.map_or(Formula::Always, |lower| lower.surely.not()),
            false => Formula::Never,
        };
        where_found
            .map_or(Formula::Never, |found| found.at_most)
            .or(rest)
    }

    /// Labels of confidentiality are a mark: what permits does so up to it, what refuses does so from it on.
    /// Other labels are themselves.
    pub(super) fn labelled(
        &self,
        labels: &[(Box<str>, Box<str>)],
        denies: bool,
        about: Option<(ActionName, TypeId)>,
    ) -> Bound {
        let Some((_, type_id)) = about else {
            return Bound::unclear();
        };
        let mut any = Bound::sure(Formula::Never);
        for label in labels {
            let one = match labels::rank(&label.0, &label.1) {
                // What may be marked so is refused, and not permitted.
                Some(mark) if denies => Bound {
                    surely: Formula::Never,
                    at_most: self.marked(mark, type_id),
                },
                Some(mark) => Bound {
                    surely: self.marked(mark + 1, type_id).not(),
                    at_most: Formula::Always,
                },
                None => {
                    let text = format!("_security={}", tokens(std::slice::from_ref(label)));
                    self.asked(type_id, &text)
                }
            };
            any = any.or(one);
        }
        any
    }
}

/// Codes as values of a token parameter.
fn tokens(codes: &[(Box<str>, Box<str>)]) -> String {
    let escaped = |text: &str| {
        let mut out = String::new();
        for byte in text.bytes() {
            if matches!(byte, b',' | b'|' | b'$' | b'\\') {
                out.push_str("%5C");
            }
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/' | b':') {
                out.push(char::from(byte));
            } else {
                out.push_str(&format!("%{byte:02X}"));
            }
        }
        out
    };
    let one = |(system, code): &(Box<str>, Box<str>)| match system.is_empty() {
        true => escaped(code),
        false => format!("{}%7C{}", escaped(system), escaped(code)),
    };
    codes.iter().map(one).collect::<Vec<_>>().join(",")
}
