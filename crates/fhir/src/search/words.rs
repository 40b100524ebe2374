//! Full text: `_text`, `_content` and the text modifiers (`search.html#content`).
//!
//! A text is a row of words: runs of letters and digits, folded like strings. A search names words
//! and `"phrases"`, joined by `and`, `or`, `not` and parentheses; words that stand side by side
//! must all be there, commas part alternatives. Words are compared whole and as they are written:
//! there is no stemming. A word that ends in `*` stands for all that begin with it.

mod parse;
mod text;

use super::query::{Clause, Match, ParamClause, Relevance, Test};
use super::rows::{content, narrative};
use super::value::{cut, fold};
use crate::definitions::{ParamId, ParamKind, TypeId};

pub(crate) use text::{indexed, of_narrative, of_resource};

/// Bytes of a word; longer ones are cut.
const WORD_BYTES_MAX: usize = 64;

/// What a text must hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Words {
    /// These words, one after the other.
    Run(Run),
    /// All of these.
    All(Vec<Words>),
    /// Any of these.
    Either(Vec<Words>),
    /// Not this.
    Not(Box<Words>),
}

/// Words that stand one after the other; at least one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Run {
    words: Vec<String>,
    /// The last one is the beginning of a word.
    begins: bool,
}

impl Run {
    /// These words.
    pub const fn new(words: Vec<String>, begins: bool) -> Self {
        Self { words, begins }
    }

    /// How the words stand in a text as it is indexed: with a space before and behind each.
    pub fn pattern(&self) -> String {
        let mut pattern = String::from(" ");
        pattern.push_str(&self.words.join(" "));
        if !self.begins {
            pattern.push(' ');
        }
        pattern
    }
}

/// The words of a text, in order.
pub(crate) fn words(text: &str) -> Vec<String> {
    let folded = fold::words(text);
    let runs = folded.split(|c: char| !c.is_alphanumeric());
    runs.filter(|w| !w.is_empty())
        .map(|w| cut(w, WORD_BYTES_MAX).to_owned())
        .collect()
}

impl Words {
    const fn run(words: Vec<String>, begins: bool) -> Self {
        Self::Run(Run { words, begins })
    }

    /// The condition, of which `one` gives the parts.
    pub(crate) fn clause(&self, one: &dyn Fn(&Run) -> Clause) -> Clause {
        let several = |parts: &[Self]| parts.iter().map(|p| p.clause(one)).collect();
        match self {
            Self::Run(run) => one(run),
            Self::All(parts) => Clause::And(several(parts)),
            Self::Either(parts) => Clause::Or(several(parts)),
            Self::Not(part) => Clause::Not(Box::new(part.clause(one))),
        }
    }

    /// What is asked for, without what must not be there.
    pub(crate) fn wanted(&self, found: &mut Vec<Run>) {
        match self {
            Self::Run(run) => found.push(run.clone()),
            Self::All(parts) | Self::Either(parts) => {
                parts.iter().for_each(|part| part.wanted(found));
            }
            Self::Not(_) => {}
        }
    }

    /// What must be there, if that is all that is asked.
    pub(crate) fn all(&self) -> Option<Vec<Run>> {
        match self {
            Self::Run(run) => Some(vec![run.clone()]),
            Self::All(parts) => {
                let parts: Option<Vec<Vec<Run>>> = parts.iter().map(Self::all).collect();
                parts.map(|parts| parts.concat())
            }
            Self::Either(_) | Self::Not(_) => None,
        }
    }

    /// What counts for the score, in the texts under these parameters.
    pub(crate) fn relevance(&self, params: &[ParamId]) -> Vec<Relevance> {
        let mut runs = Vec::new();
        self.wanted(&mut runs);
        let relevance = |run| Relevance {
            run,
            params: params.to_vec(),
        };
        runs.into_iter().map(relevance).collect()
    }

    /// `_text`, on these types: by the index of words and of pairs of them; what is longer is then
    /// looked for in the text.
    pub(crate) fn in_narratives(&self, types: &[TypeId]) -> Clause {
        let params: Vec<ParamId> = types.iter().map(|t| narrative(*t)).collect();
        self.in_texts(&params)
    }

    /// In texts whose words are indexed under these parameters.
    pub(crate) fn in_texts(&self, params: &[ParamId]) -> Clause {
        self.clause(&|run| {
            let whole = || param(params, Match::Run(run.clone()));
            let uri = |text: String| param(params, Match::Uri(text));
            match (run.words.as_slice(), run.begins) {
                ([word], true) => param(params, Match::UriBegins(word.clone())),
                ([word], false) => uri(word.clone()),
                ([a, b], false) => uri(format!("{a} {b}")),
                (several, _) => {
                    let pairs = several.windows(2).filter_map(|w| match w {
                        [a, b] => Some(uri(format!("{a} {b}"))),
                        _ => None,
                    });
                    // The last word of a run that is cut short is no neighbour as it stands.
                    let known = several.len() - 1 - usize::from(run.begins);
                    Clause::And(pairs.take(known).chain([whole()]).collect())
                }
            }
        })
    }

    /// `_content`, on these types: in the narrative or in the other texts.
    pub(crate) fn in_resources(&self, types: &[TypeId]) -> Clause {
        let of = |kind: fn(TypeId) -> ParamId| -> Vec<ParamId> {
            types.iter().map(|t| kind(*t)).collect()
        };
        let (texts, narratives) = (of(content), of(narrative));
        self.clause(&|run| {
            let found = Match::Run(run.clone());
            let each = [param(&texts, found.clone()), param(&narratives, found)];
            Clause::Or(each.into())
        })
    }

    /// The text modifiers: in the folded texts of a parameter, at any place in them.
    pub(crate) fn in_strings(&self, params: &[ParamId], kind: ParamKind) -> Clause {
        self.clause(&|run| {
            // What parted them may have been punctuation, which is not kept.
            let mut each = vec![run.words.join(" ")];
            if run.words.len() > 1 {
                each.push(run.words.concat());
            }
            let each: Vec<Match> = each.into_iter().map(Match::StringContains).collect();
            Clause::Param(ParamClause {
                param: params.to_vec(),
                kind,
                test: Test::Any(each.into()),
            })
        })
    }
}

fn param(params: &[ParamId], value: Match) -> Clause {
    Clause::Param(ParamClause {
        param: params.to_vec(),
        kind: ParamKind::Uri,
        test: Test::Any([value].into()),
    })
}

#[cfg(test)]
mod tests;
