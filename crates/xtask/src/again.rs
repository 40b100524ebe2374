//! Whether tests that failed among all others pass by themselves. Some of them race with the rest for two
//! cores; such a failure is told loudly, and does not hide what everything else came to.
//!
//! It reads what libtest prints, and no more than that.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// More failures than these have a cause that is no race.
const FAILURES_MAX: usize = 3;

/// What libtest said of a run.
#[derive(Debug, Default)]
pub(crate) struct Said {
    failed: Vec<String>,
    passed: Vec<String>,
    begun: usize,
    ended: usize,
}

impl Said {
    fn learn(&mut self, line: &str) {
        if line.starts_with("running ") && line.trim_end().ends_with(['t', 's']) {
            self.begun += 1;
        } else if line.starts_with("test result: ") {
            self.ended += 1;
        } else if let Some((name, outcome)) =
            (line.strip_prefix("test ")).and_then(|rest| rest.trim_end().split_once(" ... "))
        {
            let name = name.trim_end_matches(" - should panic").to_owned();
            match outcome {
                "FAILED" => self.failed.push(name),
                "ok" => self.passed.push(name),
                _ => {}
            }
        }
    }

    /// The tests that failed, where they are few and nothing else went wrong: a program that ended before
    /// its last test says no result.
    pub(crate) fn few_failures(&self) -> Option<&[String]> {
        let few = (1..=FAILURES_MAX).contains(&self.failed.len());
        (few && self.begun == self.ended).then_some(&self.failed)
    }
}

/// Runs tests, whose output goes to the user, and says whether they passed and what was said of them.
pub(crate) fn heard(tests: &mut Command) -> Result<(bool, Said)> {
    let mut running = tests
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start the tests")?;
    let output = running.stdout.take().context("no output of the tests")?;
    let mut output = BufReader::new(output);
    let (mut said, mut line) = (Said::default(), Vec::new());
    let mut user = std::io::stdout().lock();
    while output.read_until(b'\n', &mut line)? > 0 {
        user.write_all(&line)?;
        said.learn(&String::from_utf8_lossy(&line));
        line.clear();
    }
    Ok((running.wait()?.success(), said))
}

/// Runs tests by their names, one at a time.
pub(crate) fn alone(tests: &mut Command, names: &[String]) -> Result<()> {
    tests
        .args(["--", "--exact", "--test-threads=1"])
        .args(names);
    let (passed, said) = heard(tests)?;
    let ran = names.iter().all(|name| said.passed.contains(name));
    ensure!(
        passed && ran,
        "failed by themselves too, or could not run: {names:?}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Said {
        let mut said = Said::default();
        text.lines().for_each(|line| said.learn(line));
        said
    }

    #[test]
    fn few_failures_are_named() {
        let said = said(
            "running 2 tests\ntest a::b ... ok\ntest a::c ... FAILED\n\nfailures:\n    a::c\n\n\
             test result: FAILED. 1 passed; 1 failed;\nrunning 1 test\ntest d - should panic ... FAILED\n\
             test result: FAILED. 0 passed; 1 failed;\n",
        );
        assert_eq!(said.few_failures().unwrap(), ["a::c", "d"]);
    }

    #[test]
    fn what_ended_early_failed_much_or_not_at_all_is_not_tried_again() {
        let early = said("running 2 tests\ntest a::c ... FAILED\n");
        assert!(early.few_failures().is_none(), "{early:?}");
        let many = "test a ... FAILED\n".repeat(FAILURES_MAX + 1);
        assert!(said(&many).few_failures().is_none());
        let ended = said("running 0 tests\ntest result: ok. 0 passed;\n");
        assert!(ended.few_failures().is_none());
    }
}
