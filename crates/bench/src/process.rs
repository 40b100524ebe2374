//! Processes under measurement: their processor time and memory, read from `/proc`.

use std::fs;
use std::process::{Child, Stdio};
use std::time::Duration;

use anyhow::Context;

/// Clock ticks a second in `/proc/<pid>/stat`: fixed by Linux's interface to user space.
const TICKS_PER_SECOND: u64 = 100;

/// A child process that is ended with its owner.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Process {
    /// Takes over a child.
    pub(crate) const fn new(child: Child) -> Self {
        Self(child)
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }

    /// Asks it to end (SIGTERM) and waits; kills it after the given time.
    pub(crate) fn stop(&mut self, patience: Duration) -> anyhow::Result<()> {
        let pid = self.id().to_string();
        std::process::Command::new("kill")
            .args(["-TERM", &pid])
            .status()?;
        let step = Duration::from_millis(20);
        let mut waited = Duration::ZERO;
        while waited < patience {
            if self.has_ended() {
                return Ok(());
            }
            std::thread::sleep(step);
            waited += step;
        }
        anyhow::bail!("process {pid} did not end within {patience:?}")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Lets the calling thread be let in at once whenever it wakes, if the system permits it (root does): what
/// sends requests stands for other machines, which a busy server does not slow down.
pub(crate) fn come_first() {
    let thread = fs::read_link("/proc/thread-self");
    let thread = thread.as_deref().ok().and_then(|path| path.file_name());
    if let Some(thread) = thread {
        let mut chrt = std::process::Command::new("chrt");
        let chrt = chrt.args(["--rr", "-p", "1"]).arg(thread);
        let _ = chrt.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// Processor time (user and system) that a process has used.
pub(crate) fn cpu(pid: u32) -> anyhow::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("the process is gone")?;
    let ticks = cpu_ticks(&stat).context("unexpected /proc/<pid>/stat")?;
    Ok(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
}

/// Processor time of the children of a process that have ended and were waited for.
pub(crate) fn children_cpu(pid: u32) -> anyhow::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("the process is gone")?;
    let ticks = ticks(&stat, 13).context("unexpected /proc/<pid>/stat")?;
    Ok(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
}

/// utime + stime: the 14th and 15th field; the 2nd (the name) may hold spaces.
fn cpu_ticks(stat: &str) -> Option<u64> {
    ticks(stat, 11)
}

/// The sum of two fields, counted from the one after the name.
fn ticks(stat: &str, skipped: usize) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(skipped);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// Resident memory of a process in bytes.
pub(crate) fn resident(pid: u32) -> anyhow::Result<u64> {
    let status =
        fs::read_to_string(format!("/proc/{pid}/status")).context("the process is gone")?;
    let kilobytes: u64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.split_ascii_whitespace().next())
        .and_then(|number| number.parse().ok())
        .context("no VmRSS in /proc/<pid>/status")?;
    Ok(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_behind_a_name_with_spaces() {
        let stat = "12 (a ) b) S 1 2 3 4 5 6 7 8 9 10 111 222 13 14 20 0 8 0 100";
        assert_eq!(cpu_ticks(stat), Some(333));
    }

    #[test]
    fn this_process_has_memory() {
        assert!(resident(std::process::id()).unwrap() > 1 << 20);
        cpu(std::process::id()).unwrap();
    }
}
