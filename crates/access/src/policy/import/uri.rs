//! Whether a pattern of an address matches *every* address of a form.
//!
//! Understands the part of regular expressions that policies are written in; of the rest it says so. An
//! id is one character of its own, which stands for all ids: a pattern that reaches across it by a class
//! that takes any number of any character of an id does so for each of them.

use super::Effort;

/// Stands for any id.
pub(super) const ID: char = '\u{1}';
/// Steps of one match.
const STEPS_MAX: u32 = 20_000;
/// How deep one match goes: it recurses as deeply.
const DEPTH_MAX: u32 = 1_000;
/// Parts that a pattern may have.
const PARTS_MAX: usize = 300;
/// Bytes that it may have.
const BYTES_MAX: usize = 2_048;

/// A pattern.
#[derive(Clone, Debug)]
pub(super) struct Pattern(Vec<Vec<Node>>);

#[derive(Clone, Debug)]
enum Node {
    Begin,
    End,
    Char(char, Times),
    Class(Class, Times),
    Group(Vec<Vec<Node>>, Times),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Times {
    min: u32,
    max: Option<u32>,
}

const ONCE: Times = Times {
    min: 1,
    max: Some(1),
};

#[derive(Clone, Debug)]
struct Class {
    negated: bool,
    ranges: Vec<(char, char)>,
}

impl Class {
    fn has(&self, c: char) -> bool {
        let listed = self.ranges.iter().any(|(a, b)| (*a..=*b).contains(&c));
        listed != self.negated
    }

    /// Whether it has every character that an id may have.
    fn has_ids(&self) -> bool {
        let all = ('a'..='z').chain('A'..='Z').chain('0'..='9');
        all.chain(['-', '.']).all(|c| self.has(c))
    }
}

struct Reading<'t> {
    rest: std::iter::Peekable<std::str::Chars<'t>>,
    depth: u32,
    parts: usize,
}

/// What one match may still cost; what costs more is not found.
struct Left {
    steps: u32,
    depth: u32,
}

impl Pattern {
    /// Reads a regular expression; none where it has what is not understood, or is too long.
    pub(super) fn read(text: &str) -> Option<Self> {
        (text.len() <= BYTES_MAX).then_some(())?;
        let mut reading = Reading {
            rest: text.chars().peekable(),
            depth: 0,
            parts: 0,
        };
        let found = reading.alternatives()?;
        reading.rest.peek().is_none().then_some(Self(found))
    }

    /// Whether it is found in a text, whatever ids stand in it.
    pub(super) fn finds(&self, text: &str, effort: &Effort) -> bool {
        let text: Vec<char> = text.chars().collect();
        let mut left = Left {
            steps: STEPS_MAX,
            depth: DEPTH_MAX,
        };
        let found = (0..=text.len()).any(|at| {
            let mut end = |_| true;
            any(&self.0, &text, at, &mut left, &mut end)
        });
        let steps = usize::try_from(STEPS_MAX - left.steps).unwrap_or(0);
        effort.spend(steps + text.len()) && found
    }
}

impl Reading<'_> {
    fn alternatives(&mut self) -> Option<Vec<Vec<Node>>> {
        self.depth += 1;
        if self.depth > 16 {
            return None;
        }
        let mut all = Vec::new();
        let mut one = Vec::new();
        while let Some(c) = self.rest.peek().copied() {
            if c == ')' {
                break;
            }
            self.rest.next();
            if c == '|' {
                all.push(std::mem::take(&mut one));
                continue;
            }
            let node = self.node(c)?;
            one.push(node);
        }
        all.push(one);
        self.depth -= 1;
        Some(all)
    }

    fn node(&mut self, c: char) -> Option<Node> {
        self.parts += 1;
        (self.parts <= PARTS_MAX).then_some(())?;
        let node = match c {
            '^' => return Some(Node::Begin),
            '$' => return Some(Node::End),
            '(' => {
                if self.rest.peek() == Some(&'?') {
                    self.rest.next();
                    (self.rest.next() == Some(':')).then_some(())?;
                }
                let inner = self.alternatives()?;
                (self.rest.next() == Some(')')).then_some(())?;
                Node::Group(inner, self.times()?)
            }
            '.' => {
                let any = Class {
                    negated: true,
                    ranges: vec![('\n', '\n'), ('\r', '\r')],
                };
                Node::Class(any, self.times()?)
            }
            '[' => {
                let class = self.class()?;
                Node::Class(class, self.times()?)
            }
            '\\' => match self.rest.next()? {
                'S' => {
                    let blank = Class {
                        negated: true,
                        ranges: vec![(' ', ' '), ('\t', '\r')],
                    };
                    Node::Class(blank, self.times()?)
                }
                'w' => {
                    let word = Class {
                        negated: false,
                        ranges: vec![('a', 'z'), ('A', 'Z'), ('0', '9'), ('_', '_')],
                    };
                    Node::Class(word, self.times()?)
                }
                'd' => {
                    let digit = Class {
                        negated: false,
                        ranges: vec![('0', '9')],
                    };
                    Node::Class(digit, self.times()?)
                }
                c if c.is_ascii_alphanumeric() => return None,
                c => Node::Char(c, self.times()?),
            },
            '*' | '+' | '?' | '{' | '}' | ']' => return None,
            c => Node::Char(c, self.times()?),
        };
        Some(node)
    }

    fn times(&mut self) -> Option<Times> {
        let times = match self.rest.peek() {
            Some('*') => Times { min: 0, max: None },
            Some('+') => Times { min: 1, max: None },
            Some('?') => Times {
                min: 0,
                max: Some(1),
            },
            Some('{') => {
                self.rest.next();
                let mut text = String::new();
                loop {
                    match self.rest.next()? {
                        '}' => break,
                        c => text.push(c),
                    }
                }
                let (min, max) = match text.split_once(',') {
                    None => (text.parse().ok()?, Some(text.parse().ok()?)),
                    Some((min, "")) => (min.parse().ok()?, None),
                    Some((min, max)) => (min.parse().ok()?, Some(max.parse().ok()?)),
                };
                return self.not_again(Times { min, max });
            }
            _ => return Some(ONCE),
        };
        self.rest.next();
        // Reluctant or not: what can be matched is the same.
        if self.rest.peek() == Some(&'?') {
            self.rest.next();
        }
        self.not_again(times)
    }

    fn not_again(&mut self, times: Times) -> Option<Times> {
        let again = matches!(self.rest.peek(), Some('*' | '+' | '?' | '{'));
        (!again).then_some(times)
    }

    fn class(&mut self) -> Option<Class> {
        let negated = self.rest.peek() == Some(&'^');
        if negated {
            self.rest.next();
        }
        let mut ranges: Vec<(char, char)> = Vec::new();
        loop {
            let c = match self.rest.next()? {
                ']' if !ranges.is_empty() => return Some(Class { negated, ranges }),
                '[' | ']' | '&' => return None,
                '\\' => match self.rest.next()? {
                    'w' => {
                        ranges.extend([('a', 'z'), ('A', 'Z'), ('0', '9'), ('_', '_')]);
                        continue;
                    }
                    'd' => {
                        ranges.push(('0', '9'));
                        continue;
                    }
                    c if c.is_ascii_alphanumeric() => return None,
                    c => c,
                },
                c => c,
            };
            let mut ahead = self.rest.clone();
            let range = ahead.next() == Some('-') && ahead.peek().is_some_and(|c| *c != ']');
            if !range {
                ranges.push((c, c));
                continue;
            }
            self.rest.next();
            let last = match self.rest.next()? {
                '\\' => self.rest.next().filter(|c| !c.is_ascii_alphanumeric())?,
                last => last,
            };
            (c <= last).then_some(())?;
            ranges.push((c, last));
        }
    }
}

type After<'a> = &'a mut dyn FnMut(usize) -> bool;

fn any(all: &[Vec<Node>], text: &[char], at: usize, effort: &mut Left, after: After<'_>) -> bool {
    all.iter().any(|one| sequence(one, text, at, effort, after))
}

fn sequence(nodes: &[Node], text: &[char], at: usize, effort: &mut Left, after: After<'_>) -> bool {
    let (Some(steps), Some(depth)) = (effort.steps.checked_sub(1), effort.depth.checked_sub(1))
    else {
        return false;
    };
    (effort.steps, effort.depth) = (steps, depth);
    let found = match nodes.split_first() {
        None => after(at),
        Some((node, rest)) => one(node, rest, text, at, effort, after),
    };
    effort.depth += 1;
    found
}

fn one(
    node: &Node,
    rest: &[Node],
    text: &[char],
    at: usize,
    effort: &mut Left,
    after: After<'_>,
) -> bool {
    match node {
        Node::Begin => at == 0 && sequence(rest, text, at, effort, after),
        Node::End => at == text.len() && sequence(rest, text, at, effort, after),
        Node::Char(c, times) => {
            let takes = |found: char| found == *c && found != ID;
            run(*times, &takes, rest, text, at, effort, after)
        }
        Node::Class(class, times) => {
            // An id is of any length: only what takes any number takes it.
            let any_number = times.min <= 1 && times.max.is_none();
            let a_whole_id = times.min <= 1 && times.max.is_some_and(|max| max >= 64);
            let takes = |found: char| match found {
                ID => (any_number || a_whole_id) && class.has_ids(),
                found => class.has(found),
            };
            match a_whole_id && text.get(at) == Some(&ID) {
                // What takes 64 characters takes an id and nothing beside it.
                true => takes(ID) && sequence(rest, text, at + 1, effort, after),
                false => {
                    let plain = |found: char| (any_number || found != ID) && takes(found);
                    run(*times, &plain, rest, text, at, effort, after)
                }
            }
        }
        Node::Group(inner, times) => group(inner, *times, rest, text, at, effort, after),
    }
}

fn run(
    times: Times,
    takes: &dyn Fn(char) -> bool,
    rest: &[Node],
    text: &[char],
    at: usize,
    effort: &mut Left,
    after: After<'_>,
) -> bool {
    let mut count = 0;
    let mut end = at;
    loop {
        if count >= times.min && sequence(rest, text, end, effort, after) {
            return true;
        }
        if times.max == Some(count) || !text.get(end).is_some_and(|c| takes(*c)) {
            return false;
        }
        (count, end) = (count + 1, end + 1);
    }
}

fn group(
    inner: &[Vec<Node>],
    times: Times,
    rest: &[Node],
    text: &[char],
    at: usize,
    effort: &mut Left,
    after: After<'_>,
) -> bool {
    if times.min == 0 && sequence(rest, text, at, effort, after) {
        return true;
    }
    if times.max == Some(0) {
        return false;
    }
    let left = Times {
        min: times.min.saturating_sub(1),
        max: times.max.map(|max| max - 1),
    };
    // Ends of the group are collected first: what follows borrows the effort as well.
    let mut ends = Vec::new();
    let mut collect = |end: usize| {
        ends.push(end);
        false
    };
    any(inner, text, at, effort, &mut collect);
    ends.sort_unstable();
    ends.dedup();
    ends.into_iter().any(|end| {
        if times == ONCE {
            return sequence(rest, text, end, effort, after);
        }
        // A round that took nothing leads nowhere new.
        end > at && group(inner, left, rest, text, end, effort, after)
            || end == at && left.min == 0 && sequence(rest, text, end, effort, after)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_every_id_or_does_not() {
        let every = "/fhir/Patient/\u{1}";
        for (pattern, wanted) in [
            ("^/fhir/Patient/.*", true),
            ("/Patient/[^/]+$", true),
            (
                "^/fhir/(Patient|Observation)/[A-Za-z0-9\\-\\.]{1,64}$",
                true,
            ),
            ("^/fhir/(?:Patient)(/.*)?$", true),
            ("^/fhir/Patient", true),
            ("^/fhir/Patient$", false),
            ("^/fhir/Patient/[a-z]+$", false),
            ("^/fhir/Patient/.$", false),
            ("^/fhir/Patient/\\w+", false),
            ("^/fhir/Patient/\\w*", true),
            ("^/fhir/Patient/..+", false),
            ("^/fhir/Patient/.{1,20}$", false),
            ("^/fhir/Observation/.*", false),
            ("/fhir/Patient/\\S+$", true),
        ] {
            let found = Pattern::read(pattern)
                .unwrap()
                .finds(every, &Effort::default());
            assert_eq!(found, wanted, "{pattern}");
        }
        // What is too long is not understood, and is not followed either.
        for part in ["x*", "(x*)", "(x|)*", "x{0,9}"] {
            for count in [300, 9_000] {
                let long = part.repeat(count);
                assert!(
                    Pattern::read(&format!("^a{long}")).is_none(),
                    "{part} {count}"
                );
            }
            let some = Pattern::read(&format!("^{}$", part.repeat(60))).unwrap();
            some.finds(&"x".repeat(2_000), &Effort::default());
        }
        assert!(Pattern::read(&format!("[{}]", "a".repeat(3_000))).is_none());
        for unknown in ["(?=a)", "a**", "\\bfhir", "[[:alpha:]]", "(", "a)"] {
            assert!(Pattern::read(unknown).is_none(), "{unknown}");
        }
    }
}
