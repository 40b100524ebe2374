//! The server as a process of its own: started, asked, ended gently, killed.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use serde_json::Value;

use crate::http::{Answer, Request, ask};
use crate::poll;

/// How a server is to be started.
#[derive(Clone, Debug)]
pub struct Setup {
    program: PathBuf,
    data: PathBuf,
    under: Vec<OsString>,
    environment: Vec<(String, String)>,
}

impl Setup {
    /// The program at this path, on this data folder.
    pub fn new(program: &Path, data: &Path) -> Self {
        Self {
            program: program.to_path_buf(),
            data: data.to_path_buf(),
            under: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// With a key of the configuration: `limits.body_bytes_max`, `1000`.
    #[must_use]
    pub fn set(mut self, key: &str, value: &str) -> Self {
        let name = format!("INSULA_{}", key.to_ascii_uppercase().replace('.', "__"));
        self.environment.push((name, value.to_owned()));
        self
    }

    /// Started by another program, which gets these words and then the command.
    #[must_use]
    pub fn under(mut self, words: &[&str]) -> Self {
        self.under = words.iter().map(OsString::from).collect();
        self
    }

    /// The command line, ready for arguments.
    fn command(&self) -> Command {
        let mut words = self
            .under
            .iter()
            .cloned()
            .chain([self.program.clone().into_os_string()]);
        let mut command = Command::new(words.next().expect("a program"));
        command.args(words).envs(self.environment.iter().cloned());
        command
    }

    /// Starts it and waits until it answers.
    pub fn start(&self) -> Insula {
        fs::create_dir_all(&self.data).unwrap();
        let announced = self.data.join("listen.json");
        let _ = fs::remove_file(&announced);
        let log = fs::File::create(self.data.join("log.txt")).unwrap();
        let mut child = self
            .command()
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(&self.data)
            // Held by the child's handle: the server ends when we do, however we do.
            .stdin(Stdio::piped())
            .env("TESTKIT_ENDS_WITH_PARENT", "1")
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let address = poll::until("the server starts", 60, || {
            if let Some(ended) = child.try_wait().unwrap() {
                let log = fs::read_to_string(self.data.join("log.txt")).unwrap_or_default();
                panic!("the server ended with {ended}:\n{log}");
            }
            let text = fs::read_to_string(&announced).ok()?;
            let found: Value = serde_json::from_str(&text).ok()?;
            Some(found["address"].as_str()?.to_owned())
        });
        let token = fs::read_to_string(self.data.join("operator.token")).unwrap();
        let server = Insula {
            setup: self.clone(),
            child,
            address,
            operator: token.trim().to_owned(),
            ended: false,
        };
        poll::until("the server is ready", 60, || {
            (server.ask(&Request::new("GET", "/health/ready")).status == 200).then_some(())
        });
        server
    }
}

/// A running server; killed when dropped.
#[derive(Debug)]
pub struct Insula {
    setup: Setup,
    child: Child,
    address: String,
    operator: String,
    /// Whether we ended it.
    ended: bool,
}

impl Insula {
    /// `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The operator's token.
    pub fn operator(&self) -> &str {
        &self.operator
    }

    /// Its data folder.
    pub fn data(&self) -> &Path {
        &self.setup.data
    }

    /// The id of its process (of the program it is started under, if there is one).
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// One request as it is.
    #[track_caller]
    pub fn ask(&self, request: &Request) -> Answer {
        ask(&self.address, request)
    }

    /// One request of the operator.
    #[track_caller]
    pub fn admin(&self, request: Request) -> Answer {
        self.ask(&request.header("Authorization", &format!("Bearer {}", self.operator)))
    }

    /// Runs an administrative command against it; its output, which must be of success.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = self.spawn(arguments).wait_with_output().unwrap();
        let (out, err) = (
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        );
        assert!(
            output.status.success(),
            "{arguments:?}: {}\n{out}\n{err}",
            output.status
        );
        out
    }

    /// Starts an administrative command against it.
    pub fn spawn(&self, arguments: &[&str]) -> Child {
        Command::new(&self.setup.program)
            .args(arguments)
            .arg("--url")
            .arg(format!("http://{}", self.address))
            .arg("--token-file")
            .arg(self.setup.data.join("operator.token"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Kills it as a crash would (SIGKILL).
    pub fn kill(mut self) -> Setup {
        self.ended = true;
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.setup.clone()
    }

    /// Tells it to stop (SIGTERM) and waits for its end.
    pub fn stop(self) -> (Setup, ExitStatus) {
        let told = Command::new("kill")
            .args(["-TERM", &self.pid().to_string()])
            .status()
            .unwrap();
        assert!(told.success());
        self.stop_told()
    }

    /// Waits for the end of one that was told to stop.
    pub fn stop_told(mut self) -> (Setup, ExitStatus) {
        self.ended = true;
        let ended = poll::until("the server stops", 15, || self.child.try_wait().unwrap());
        (self.setup.clone(), ended)
    }
}

impl Drop for Insula {
    #[expect(
        clippy::print_stderr,
        reason = "a test that fails for this must say so"
    )]
    fn drop(&mut self) {
        if let Ok(Some(ended)) = self.child.try_wait()
            && !self.ended
        {
            let log = fs::read_to_string(self.setup.data.join("log.txt")).unwrap_or_default();
            eprintln!("THE SERVER ENDED BY ITSELF: {ended}\n{log}");
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
