//! `cargo xtask test`: brings what the tests need, saying so, and runs them all.
//!
//! Four things come from outside the workspace: tools of the operating system (installed by apt
//! when they are missing), FHIR clients that nobody here wrote (pinned, from PyPI and npm, in
//! folders below the target folder), HL7's packages of definitions and examples (likewise), and
//! suites of outside data (unpacked below the target folder when `INSULA_SUITES` names a folder of
//! archives). It does not know what the tests do with them:
//! a test that misses one says so and is skipped, so plain `cargo test` works without this command.
#![expect(clippy::print_stderr, reason = "a command tells its user what it does")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use anyhow::{Context, Result, ensure};

use crate::again;
use crate::conformance::Results;
use crate::workspace::{call, cargo, root, target_folder};

/// A tool of the operating system that a test starts.
struct Tool {
    /// The Debian package that brings it.
    package: &'static str,
    /// A command that succeeds when it is there.
    probe: &'static [&'static str],
    /// What needs it.
    wanted_for: &'static str,
}

const TOOLS: &[Tool] = &[
    Tool {
        package: "python3",
        probe: &["python3", "--version"],
        wanted_for: "the clients fhirclient and fhirpy",
    },
    Tool {
        package: "python3-venv",
        probe: &["python3", "-c", "import venv, ensurepip"],
        wanted_for: "a folder of their own for these clients",
    },
    Tool {
        package: "nodejs",
        probe: &["node", "--version"],
        wanted_for: "the client fhir-kit-client",
    },
    Tool {
        package: "npm",
        probe: &["npm", "--version"],
        wanted_for: "fetching that client",
    },
    Tool {
        package: "chromium",
        probe: &["/usr/bin/chromium", "--version"],
        wanted_for: "a person who signs in",
    },
    Tool {
        package: "oathtool",
        probe: &["oathtool", "--version"],
        wanted_for: "one-time codes of another maker",
    },
    Tool {
        package: "strace",
        probe: &["strace", "--version"],
        wanted_for: "the simulated power cut",
    },
    Tool {
        package: "rsyslog",
        probe: &["rsyslogd", "-v"],
        wanted_for: "a receiver of audit trails",
    },
    Tool {
        package: "rsyslog-gnutls",
        probe: &["sh", "-c", "ls /usr/lib/*/rsyslog/lmnsd_gtls.so"],
        wanted_for: "its TLS",
    },
    Tool {
        package: "rsyslog-openssl",
        probe: &["sh", "-c", "ls /usr/lib/*/rsyslog/lmnsd_ossl.so"],
        wanted_for: "its TLS",
    },
    Tool {
        package: "xz-utils",
        probe: &["xz", "--version"],
        wanted_for: "unpacking suites",
    },
];

/// Clients from PyPI, each at the version that the tests were written against, and what the script
/// in the book's page on the data folder imports.
const PYTHON_CLIENTS: &[&str] = &[
    "fhirclient==4.4.0",
    "fhirpy==2.3.1",
    "cryptography==50.0.2",
    "pymerkle==6.1.0",
    "schemathesis==4.32.5",
    "ocsf-json-schema==1.2.0",
    "jsonschema==4.26.0",
    "sqlcipher3-binary==0.6.0",
    "zstandard==0.25.0",
];

/// Clients from npm, likewise (this one still runs on the Node.js 18 of Debian 12), and NLM's
/// FHIRPath engine, as a second opinion on what a search parameter's expression finds. The last five
/// sign a person in: two as programs, one in a browser, and one as a clinic's identity provider; the last looks
/// whether everybody can use the pages.
const NODE_CLIENTS: &[(&str, &str)] = &[
    ("fhir-kit-client", "1.9.2"),
    ("fhirpath", "3.18.0"),
    ("openid-client", "5.7.1"),
    ("fhirclient", "2.6.3"),
    ("puppeteer-core", "24.10.0"),
    ("oidc-provider", "8.8.1"),
    ("axe-core", "4.10.3"),
];

/// HL7's packages on npm that no suite brings: the folder they go to, name, version, and which of
/// their files are kept.
const PACKAGES: &[[&str; 4]] = &[
    [
        "r4b-core",
        "hl7.fhir.r4b.core",
        "4.3.0",
        "SearchParameter-*",
    ],
    ["r4b-examples", "hl7.fhir.r4b.examples", "4.3.0", "*"],
    ["r5-core", "hl7.fhir.r5.core", "5.0.0", "SearchParameter-*"],
];

/// Archives of the suites' folder that some test reads.
const SUITES: &[&str] = &[
    "fhir-test-cases",
    "r4-examples",
    "r5-examples",
    "synthea-smart-615",
];

/// What may follow `cargo xtask test`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Installs nothing: what is missing is named, and the tests that need it are skipped
    #[arg(long)]
    no_install: bool,
    /// Passed on to `cargo test --workspace`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    cargo: Vec<String>,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let outside = prepare(arguments.no_install)?;
    let mut tests = Command::new(cargo());
    tests
        .args(["test", "--workspace", "--no-fail-fast"])
        .args(&arguments.cargo)
        .current_dir(root()?);
    let results = Results::begin(&outside, &mut tests)?;
    // A choice of tests gives a part of the results.
    if !arguments.cargo.is_empty() {
        return call(&mut tests);
    }
    let (passed, said) = again::heard(&mut tests)?;
    if !passed {
        let failed = said.few_failures().context("tests failed")?;
        say(&format!("failed among all others, tried alone: {failed:?}"));
        let mut tests = Command::new(cargo());
        tests.args(["test", "--workspace"]).current_dir(root()?);
        results.pass_to(&outside, &mut tests);
        again::alone(&mut tests, failed)?;
        say(&format!("UNSTEADY, passed alone: {failed:?}"));
    }
    results.compare()
}

/// What there is from outside the workspace.
pub(crate) struct Outside {
    /// The folder of unpacked suites.
    pub(crate) suites: Option<PathBuf>,
    /// Whether nothing is missing that a judge needs.
    pub(crate) complete: bool,
}

/// Brings what the tests need, as far as it may.
pub(crate) fn prepare(no_install: bool) -> Result<Outside> {
    let target = target_folder()?;
    let tools = tools(no_install)?;
    let fetched = tools && !no_install;
    if fetched {
        python_clients(&target)?;
        node_clients(&target)?;
        PACKAGES.iter().try_for_each(|p| package(&target, p))?;
    }
    let suites = suites(&target)?;
    let complete = fetched && suites.is_some();
    Ok(Outside { suites, complete })
}

/// Installs the tools that are missing; `false` when some stay missing.
fn tools(no_install: bool) -> Result<bool> {
    let missing: Vec<&Tool> = TOOLS.iter().filter(|tool| !answers(tool.probe)).collect();
    if missing.is_empty() {
        return Ok(true);
    }
    for tool in &missing {
        say(&format!(
            "missing: {} (for {})",
            tool.package, tool.wanted_for
        ));
    }
    if no_install {
        return Ok(false);
    }
    let packages: Vec<&str> = missing.iter().map(|tool| tool.package).collect();
    ensure!(
        answers(&["apt-get", "--version"]),
        "no apt-get here: install {} by hand, or use --no-install",
        packages.join(" ")
    );
    say(&format!("installing by apt-get: {}", packages.join(" ")));
    call(as_root(&["apt-get", "update", "-q"])?.stdout(Stdio::null()))?;
    let install = ["apt-get", "install", "-q", "-y", "--no-install-recommends"];
    call(
        as_root(&install)?
            .args(&packages)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )?;
    for tool in missing {
        ensure!(
            answers(tool.probe),
            "{} was installed and still does not answer",
            tool.package
        );
    }
    Ok(true)
}

/// The command itself for root, by `sudo` for anyone else.
fn as_root(words: &[&str]) -> Result<Command> {
    let uid = Command::new("id").arg("-u").output().context("id -u")?;
    let mut words = words.iter();
    let mut command = if uid.stdout.trim_ascii() == b"0" {
        Command::new(words.next().context("an empty command")?)
    } else {
        Command::new("sudo")
    };
    command.args(words);
    Ok(command)
}

/// A virtual environment with the pinned clients at `clients/python` below the target folder.
fn python_clients(target: &Path) -> Result<()> {
    let folder = target.join("clients/python");
    let pins = PYTHON_CLIENTS.join("\n");
    if stamped(&folder, &pins) {
        return Ok(());
    }
    say(&format!("fetching from PyPI: {}", PYTHON_CLIENTS.join(" ")));
    call(
        Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&folder),
    )?;
    let mut pip = Command::new(folder.join("bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check"])
        .args(PYTHON_CLIENTS);
    call(&mut pip)?;
    stamp(&folder, &pins)
}

/// A folder with the pinned npm clients at `clients/node` below the target folder.
fn node_clients(target: &Path) -> Result<()> {
    let folder = target.join("clients/node");
    let pins: Vec<String> = NODE_CLIENTS
        .iter()
        .map(|(name, v)| format!("{name}@{v}"))
        .collect();
    let pins = pins.join("\n");
    if stamped(&folder, &pins) {
        return Ok(());
    }
    say(&format!("fetching from npm: {pins}"));
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("package.json"), "{\"private\": true}\n")?;
    let mut npm = Command::new("npm");
    npm.args([
        "install",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
        "--save-exact",
    ])
    .args(pins.lines())
    .current_dir(&folder);
    call(&mut npm)?;
    stamp(&folder, &pins)
}

/// A package of HL7's at `clients/<folder>/package` below the target folder.
fn package(target: &Path, [folder, name, version, files]: &[&str; 4]) -> Result<()> {
    let folder = target.join("clients").join(folder);
    let pin = format!("{name}@{version} {files}");
    if stamped(&folder, &pin) {
        return Ok(());
    }
    say(&format!("fetching from npm: {name}@{version}"));
    fs::create_dir_all(&folder)?;
    let mut npm = Command::new("npm");
    npm.args(["pack", "--silent", &format!("{name}@{version}")])
        .current_dir(&folder)
        .stdout(Stdio::null());
    call(&mut npm)?;
    let archive = folder.join(format!("{name}-{version}.tgz"));
    let mut tar = Command::new("tar");
    tar.arg("-xzf").arg(&archive).arg("-C").arg(&folder);
    tar.args(["--wildcards", &format!("package/{files}")]);
    call(&mut tar)?;
    fs::remove_file(&archive)?;
    stamp(&folder, &pin)
}

/// Whether this folder was made from these very pins.
fn stamped(folder: &Path, pins: &str) -> bool {
    fs::read_to_string(folder.join("pins")).is_ok_and(|text| text == pins)
}

fn stamp(folder: &Path, pins: &str) -> Result<()> {
    fs::write(folder.join("pins"), pins).with_context(|| folder.display().to_string())
}

/// The folder of unpacked suites. `INSULA_SUITES` names either that folder or one with archives
/// and their `unpack` script, which is then run into `suites` below the target folder.
fn suites(target: &Path) -> Result<Option<PathBuf>> {
    let Some(given) = env::var_os("INSULA_SUITES").filter(|v| !v.is_empty()) else {
        say("INSULA_SUITES is not set: tests on outside data are skipped");
        return Ok(None);
    };
    let given = fs::canonicalize(&given)
        .with_context(|| format!("INSULA_SUITES={}", given.to_string_lossy()))?;
    let unpack = given.join("unpack");
    if !unpack.exists() {
        return Ok(Some(given));
    }
    let folder = target.join("suites");
    say(&format!(
        "unpacking {} into {}",
        SUITES.join(" "),
        folder.display()
    ));
    call(Command::new("bash").arg(unpack).arg(&folder).args(SUITES))?;
    Ok(Some(folder))
}

/// Whether a command starts and succeeds.
fn answers(words: &[&str]) -> bool {
    let Some((program, arguments)) = words.split_first() else {
        return false;
    };
    let quiet = Command::new(program)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    quiet.is_ok_and(|status| status.success())
}

fn say(text: &str) {
    eprintln!("xtask test: {text}");
}
