//! Rust files, read just well enough to tell code from text and comments, and tests from the rest.

use std::fs;
use std::path::Path;

use super::root;

/// One file of the workspace.
pub(super) struct Source {
    /// Path from the root, `/` between its parts.
    pub(super) path: String,
    /// The room it belongs to.
    pub(super) room: String,
    /// As it is.
    pub(super) text: String,
    /// Without comments, and with the content of texts blanked.
    pub(super) code: String,
    /// Its texts (string literals), each with its line.
    pub(super) literals: Vec<(usize, String)>,
    /// The first line that belongs to tests; beyond the end where there are none.
    pub(super) tests_from: usize,
}

impl Source {
    fn new(path: &str, text: String) -> Self {
        let room = path.split('/').nth(1).unwrap_or_default().to_owned();
        let (code, literals) = split(&text);
        let whole = ["/tests/", "/examples/", "/benches/"]
            .iter()
            .any(|part| path.contains(part))
            || path.ends_with("/tests.rs");
        let tests_from = if whole {
            0
        } else {
            code.lines()
                .position(|line| line.trim() == "#[cfg(test)]")
                .filter(|at| {
                    code.lines()
                        .nth(at + 1)
                        .is_some_and(|l| l.trim().starts_with("mod "))
                })
                // A `mod tests;` in the middle of a file puts nothing of that file under test.
                .filter(|at| {
                    !code
                        .lines()
                        .nth(at + 1)
                        .is_some_and(|l| l.trim().ends_with(';'))
                })
                .unwrap_or(usize::MAX)
        };
        Self {
            path: path.to_owned(),
            room,
            text,
            code,
            literals,
            tests_from,
        }
    }

    /// Lines of code outside tests, counted from 1.
    pub(super) fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code
            .lines()
            .enumerate()
            .take(self.tests_from)
            .map(|(i, line)| (i + 1, line))
    }

    /// Texts outside tests.
    pub(super) fn texts(&self) -> impl Iterator<Item = &(usize, String)> {
        self.literals
            .iter()
            .filter(|(line, _)| *line <= self.tests_from)
    }
}

/// Every Rust file of `crates/`, without those that must not compile.
pub(super) fn sources() -> Vec<Source> {
    let root = root();
    let mut found = Vec::new();
    walk(&root.join("crates"), &root, &mut found);
    assert!(
        found.len() > 20,
        "the project's files are not where they are looked for"
    );
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn walk(folder: &Path, root: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            if name != "forgery" && name != "target" {
                walk(&path, root, found);
            }
        } else if name.ends_with(".rs") {
            let relative = path.strip_prefix(root).unwrap().to_str().unwrap();
            found.push(Source::new(relative, fs::read_to_string(&path).unwrap()));
        }
    }
}

/// Code without comments and content of texts (lines stay where they are), and the texts.
fn split(source: &str) -> (String, Vec<(usize, String)>) {
    let mut code = String::with_capacity(source.len());
    let mut literals = Vec::new();
    let mut rest = source;
    let mut line = 1;
    while let Some(c) = rest.chars().next() {
        let (taken, literal) = if rest.starts_with("//") {
            (rest.find('\n').unwrap_or(rest.len()), None)
        } else if rest.starts_with("/*") {
            (rest.find("*/").map_or(rest.len(), |at| at + 2), None)
        } else if let Some((taken, from, to)) = raw_text(rest, &code) {
            (taken, Some(&rest[from..to]))
        } else if c == '"' {
            let taken = closing(rest, '"');
            (taken, Some(&rest[1..taken.saturating_sub(1).max(1)]))
        } else if c == '\'' && is_char(rest) {
            (closing(rest, '\''), None)
        } else {
            code.push(c);
            line += usize::from(c == '\n');
            rest = &rest[c.len_utf8()..];
            continue;
        };
        if let Some(literal) = literal {
            literals.push((line, literal.to_owned()));
            code.push_str("\"\"");
        }
        let breaks = rest[..taken].matches('\n').count();
        code.extend(std::iter::repeat_n('\n', breaks));
        line += breaks;
        rest = &rest[taken..];
    }
    (code, literals)
}

/// Length, start and end of the content of a raw text at the beginning.
fn raw_text(rest: &str, before: &str) -> Option<(usize, usize, usize)> {
    let after_word = before
        .chars()
        .next_back()
        .is_some_and(|c| c.is_alphanumeric() || c == '_');
    let body = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = body.len() - body.trim_start_matches('#').len();
    if after_word || !body[hashes..].starts_with('"') {
        return None;
    }
    let from = rest.len() - body.len() + hashes + 1;
    let end = format!("\"{}", "#".repeat(hashes));
    let to = from + rest[from..].find(&end)?;
    Some((to + end.len(), from, to))
}

/// Whether a quote begins a character, not a lifetime.
fn is_char(rest: &str) -> bool {
    let mut chars = rest.chars().skip(1);
    chars.next() == Some('\\') || chars.next() == Some('\'')
}

/// Length of a quoted text, both quotes included.
fn closing(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

#[test]
fn code_and_text_are_told_apart() {
    let source =
        "let a = \"SELECT \\\" x\"; // SELECT y\nlet b = 'c'; /* z\n */ f::<'a>(r#\"q\"w\"#);\n";
    let (code, literals) = split(source);
    assert_eq!(code, "let a = \"\"; \nlet b = ; \n f::<'a>(\"\");\n");
    assert_eq!(
        literals,
        [(1, "SELECT \\\" x".to_owned()), (3, "q\"w".to_owned())]
    );
}
