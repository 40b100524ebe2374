//! `cargo xtask conformance`: what outside judges find, against the committed table, which may only
//! get better.
//!
//! The judges are tests. Where `CONFORMANCE_RESULTS` names a folder, each leaves lines there in a
//! file of its own, `<judge>.tsv`: what was measured, how many cases came out as they should, and
//! how many there are. This command runs them, gathers the lines, and knows nothing else of them.
#![expect(
    clippy::print_stdout,
    reason = "a command tells its user what it found"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use anyhow::{Context, Result, bail, ensure};

use crate::test::{Outside, prepare};
use crate::workspace::{call, cargo, root, target_folder};

/// The committed table.
const TABLE: &str = "docs/src/fhir/conformance.tsv";
/// The page of the book that is made from it.
const PAGE: &str = "docs/src/fhir/conformance.md";

/// What may follow `cargo xtask conformance`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Writes what was found to the table and its page; refused where something got worse
    #[arg(long)]
    write: bool,
    /// Only writes the page again from the table
    #[arg(long, conflicts_with = "write")]
    page: bool,
}

/// Cases that came out as they should, and all cases.
type Row = (u64, u64);

/// Results by judge and measure.
type Rows = BTreeMap<(String, String), Row>;

/// The tests that judge.
const JUDGES: &[&[&str]] = &[
    &["-p", "fhir", "--tests"],
    &["-p", "rest", "--lib", "--", "hl7s_graphql_cases"],
    &[
        "-p", "it", "--test", "it", "--", "examples", "synthea", "judges",
    ],
];

/// Runs the command.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if arguments.page {
        return write_page(&table()?);
    }
    let outside = prepare(false)?;
    ensure!(
        outside.complete,
        "INSULA_SUITES names no folder of suites: there is nothing to judge by"
    );
    let mut results = None;
    for judge in JUDGES {
        let mut tests = Command::new(cargo());
        tests.arg("test").args(*judge).current_dir(root()?);
        match &results {
            None => results = Some(Results::begin(&outside, &mut tests)?),
            Some(begun) => begun.pass_to(&outside, &mut tests),
        }
        call(&mut tests)?;
    }
    let results = results.context("no judges")?;
    if arguments.write {
        results.write()
    } else {
        results.compare()
    }
}

/// A folder that judges leave their results in.
pub(crate) struct Results {
    folder: PathBuf,
    complete: bool,
}

impl Results {
    /// Empties the folder and tells the judges of it.
    pub(crate) fn begin(outside: &Outside, tests: &mut Command) -> Result<Self> {
        let folder = target_folder()?.join("conformance");
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        fs::create_dir_all(&folder)?;
        let results = Self {
            folder,
            complete: outside.complete,
        };
        results.pass_to(outside, tests);
        Ok(results)
    }

    /// Tells the judges of it.
    pub(crate) fn pass_to(&self, outside: &Outside, tests: &mut Command) {
        tests.env("CONFORMANCE_RESULTS", &self.folder);
        if let Some(suites) = &outside.suites {
            tests.env("INSULA_SUITES", suites);
        }
    }

    fn found(&self) -> Result<Rows> {
        let mut rows = Rows::new();
        for file in fs::read_dir(&self.folder)? {
            let path = file?.path();
            let judge = path.file_stem().unwrap_or_default().to_string_lossy();
            for line in fs::read_to_string(&path)?.lines() {
                let (measure, row) = row(line).with_context(|| path.display().to_string())?;
                rows.insert((judge.clone().into_owned(), measure), row);
            }
        }
        Ok(rows)
    }

    /// Compares what was found with the committed table.
    pub(crate) fn compare(&self) -> Result<()> {
        if !self.complete {
            println!("xtask: something from outside is missing, {TABLE} was not compared");
            return Ok(());
        }
        let (committed, found) = (table()?, self.found()?);
        let worse = worse(&committed, &found);
        ensure!(
            worse.is_empty(),
            "worse than {TABLE}:\n{}",
            worse.join("\n")
        );
        if committed == found {
            println!("xtask: {} results are those of {TABLE}", found.len());
        } else {
            println!(
                "xtask: better than {TABLE}; `cargo xtask conformance --write` holds on to it"
            );
        }
        Ok(())
    }

    fn write(&self) -> Result<()> {
        let found = self.found()?;
        let worse = worse(&table()?, &found);
        ensure!(
            worse.is_empty(),
            "worse than {TABLE}:\n{}",
            worse.join("\n")
        );
        let mut text = "# judge, measure, cases as they should be, all cases\n".to_owned();
        for ((judge, measure), (good, all)) in &found {
            text.push_str(&format!("{judge}\t{measure}\t{good}\t{all}\n"));
        }
        let path = root()?.join(TABLE);
        fs::write(&path, text).with_context(|| path.display().to_string())?;
        write_page(&found)
    }
}

/// `measure, good, all`
fn row(line: &str) -> Result<(String, Row)> {
    let cells: Vec<&str> = line.split('\t').collect();
    let [measure, good, all] = *cells else {
        bail!("{line:?}");
    };
    Ok((measure.to_owned(), (good.parse()?, all.parse()?)))
}

fn table() -> Result<Rows> {
    let path = root()?.join(TABLE);
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Rows::new()),
        text => text?,
    };
    let mut rows = Rows::new();
    for line in text.lines().filter(|l| !l.starts_with('#')) {
        let (judge, rest) = line.split_once('\t').context("a judge")?;
        let (measure, row) = row(rest)?;
        rows.insert((judge.to_owned(), measure), row);
    }
    Ok(rows)
}

/// What got worse: fewer good cases, more bad ones, or nothing measured any more.
fn worse(committed: &Rows, found: &Rows) -> Vec<String> {
    let mut worse = Vec::new();
    for ((judge, measure), (good, all)) in committed {
        let before = format!("{judge}: {measure}: {good} of {all}");
        match found.get(&(judge.clone(), measure.clone())) {
            None => worse.push(format!("{before}, now nothing")),
            Some((now, of))
                if now < good || of.saturating_sub(*now) > all.saturating_sub(*good) =>
            {
                worse.push(format!("{before}, now {now} of {of}"));
            }
            Some(_) => {}
        }
    }
    worse
}

const INTRODUCTION: &str = "# What outside judges find

Suites, examples and engines that nobody here wrote judge each version of FHIR that Insula speaks; `cargo xtask conformance` runs them, and
`cargo xtask test` compares with this table, which may only get better. Every case that does not come out as its suite says is listed in the
code beside the test, with its reason.

- *examples*: every example that HL7 publishes for the version is written over HTTP, read back (decimals keep their digits), sent through XML,
  and searched for by the values that NLM's FHIRPath engine finds in it by the published search parameters. An example that breaks the
  rules of the version it illustrates is refused, and listed with the rule.
- *fhirpath*: HL7's suites of FHIRPath, valid and invalid cases.
- *graphql*: HL7's cases of `$graphql`, asked over HTTP.
- *patch*: HL7's cases of JSON Patch, FHIRPath Patch and XML Patch.
- *structure*: the published examples, and documents that the reference validator accepts, against the version's rules.
- *xml*: the published examples to XML and back, and HL7's own XML documents to JSON and back.
- *synthea*: synthetic patients are imported and counted, by the server's search and independently from the files.
";

fn write_page(rows: &Rows) -> Result<()> {
    let mut text = INTRODUCTION.to_owned();
    text.push_str("\n| judge | what | as it should be | of |\n|---|---|---:|---:|\n");
    for ((judge, measure), (good, all)) in rows {
        text.push_str(&format!("| {judge} | {measure} | {good} | {all} |\n"));
    }
    let path = root()?.join(PAGE);
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    fs::write(&path, text).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(good: u64, all: u64) -> Rows {
        Rows::from([(("a".to_owned(), "b".to_owned()), (good, all))])
    }

    #[test]
    fn more_cases_are_no_excuse() {
        assert!(worse(&rows(8, 10), &rows(8, 10)).is_empty());
        assert!(worse(&rows(8, 10), &rows(9, 10)).is_empty());
        assert!(worse(&rows(8, 10), &rows(10, 12)).is_empty());
        assert_eq!(worse(&rows(8, 10), &rows(7, 8)).len(), 1);
        assert_eq!(worse(&rows(8, 10), &rows(9, 12)).len(), 1);
        assert_eq!(worse(&rows(8, 10), &Rows::new()).len(), 1);
    }
}
