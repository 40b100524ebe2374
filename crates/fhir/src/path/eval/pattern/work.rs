//! How much work a search for a pattern is, counted rather than bounded: a search may look far
//! beyond what it finds, and a search for the next match may look there again.

use regex_automata::Input;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson;
use regex_automata::util::syntax;

/// Bytes of text that are a step, for a small pattern.
const STEP_BYTES: usize = 64;
/// A pattern of so many states counts twice.
const STATES: usize = 16;
/// What a search costs that has to go state by state, as a multiple.
const BY_STATES: usize = 8;

/// The states of a pattern, to go over a text with.
#[derive(Debug)]
pub(super) struct Work {
    /// Not for every pattern.
    dfa: Option<DFA>,
    states: usize,
}

/// Going over texts with one pattern.
pub(super) struct Walk<'w> {
    work: &'w Work,
    cache: Option<Cache>,
}

impl Work {
    /// The work that a pattern is.
    pub(super) fn of(text: &str, syntax: syntax::Config, bytes_max: usize) -> Self {
        let size = thompson::Config::new().nfa_size_limit(Some(bytes_max));
        let nfa = thompson::Compiler::new()
            .syntax(syntax)
            .configure(size)
            .build(text);
        let Ok(nfa) = nfa else {
            // Not met: the pattern was compiled before.
            return Self {
                dfa: None,
                states: bytes_max,
            };
        };
        let states = nfa.states().len();
        let config = DFA::config()
            .unicode_word_boundary(true)
            .minimum_cache_clear_count(Some(3))
            .minimum_bytes_per_state(Some(10));
        let dfa = DFA::builder().configure(config).build_from_nfa(nfa).ok();
        Self { dfa, states }
    }

    /// The steps of going over so many bytes.
    pub(super) const fn steps(&self, bytes: usize) -> usize {
        (bytes / STEP_BYTES).saturating_mul(1 + self.states / STATES)
    }

    /// The steps that going over so many bytes is at most.
    pub(super) const fn most(&self, bytes: usize) -> usize {
        self.steps(bytes.saturating_mul(BY_STATES))
    }

    pub(super) fn walk(&self) -> Walk<'_> {
        let cache = self.dfa.as_ref().map(DFA::create_cache);
        Walk { work: self, cache }
    }
}

impl Walk<'_> {
    /// The bytes that a search from a place of a text looks at until it knows.
    pub(super) fn bytes(&mut self, text: &str, from: usize) -> usize {
        let rest = text.as_bytes().get(from..).unwrap_or_default();
        let slowly = rest.len().saturating_mul(BY_STATES);
        let (Some(dfa), Some(cache)) = (&self.work.dfa, &mut self.cache) else {
            return slowly;
        };
        let input = Input::new(text).range(from.min(text.len())..);
        let Ok(mut state) = dfa.start_state_forward(cache, &input) else {
            return slowly;
        };
        for (at, byte) in rest.iter().enumerate() {
            match dfa.next_state(cache, state, *byte) {
                Ok(next) if next.is_dead() => return at + 1,
                Ok(next) if next.is_quit() => return slowly,
                Ok(next) => state = next,
                Err(_) => return slowly,
            }
        }
        rest.len()
    }
}
