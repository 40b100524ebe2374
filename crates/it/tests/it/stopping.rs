//! A server that is told to stop, and one that speaks TLS to commands that do not trust it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use serde_json::Value;
use testkit::{Folder, Request, poll};

use crate::world::{PROGRAM, setup};

/// What is logged where the time to drain was over.
const STILL: &str = "still running";

#[test]
fn connections_that_ask_for_nothing_hold_up_no_stop() {
    let folder = Folder::new("stop-idle");
    let server = setup(&folder.join("data")).start();
    let mut idle = testkit::http::Connection::open(server.address()).unwrap();
    let live = Request::new("GET", "/health/live");
    assert_eq!(idle.ask(&live).unwrap().status, 200);
    let silent = TcpStream::connect(server.address()).unwrap();
    let mut second = TcpStream::connect(server.address()).unwrap();
    // HTTP/2 as it begins, with no stream and no answer to what is asked.
    second
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .unwrap();
    second.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).unwrap();
    let mut settings = [0; 9];
    second.read_exact(&mut settings).unwrap();
    assert_eq!(settings[3], 4, "SETTINGS");
    let log = server.data().join("log.txt");
    let (_, ended) = server.stop();
    assert!(ended.success());
    let log = fs::read_to_string(log).unwrap();
    assert!(!log.contains(STILL), "{log}");
    drop((idle, silent, second));
}

#[test]
fn a_request_that_runs_is_answered_when_the_server_stops() {
    let folder = Folder::new("stop-busy");
    let server = setup(&folder.join("data")).start();
    let address = server.address().to_owned();
    let mut busy = TcpStream::connect(&address).unwrap();
    let head = "POST /admin/v1/tenants HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    let body = br#"{"name":"late"}"#;
    let (first, rest) = body.split_at(5);
    let length = body.len();
    let token = server.operator();
    write!(
        busy,
        "{head}authorization: Bearer {token}\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
    )
    .unwrap();
    // The body is asked for: the request runs.
    let mut line = [0; 25];
    busy.read_exact(&mut line).unwrap();
    assert!(line.starts_with(b"HTTP/1.1 100"), "{line:?}");
    busy.write_all(first).unwrap();
    let log = server.data().join("log.txt");
    let told = Command::new("kill")
        .args(["-TERM", &server.pid().to_string()])
        .status();
    assert!(told.unwrap().success());
    poll::until("it is told", 20, || {
        let text = fs::read_to_string(&log).ok()?;
        text.contains("stopping").then_some(())
    });
    busy.write_all(rest).unwrap();
    let mut answer = String::new();
    let _ = busy.read_to_string(&mut answer);
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    let (_, ended) = server.stop_told();
    assert!(ended.success());
    assert!(!fs::read_to_string(log).unwrap().contains(STILL));
}

/// A server that speaks TLS; ended when dropped.
struct Shown {
    child: Child,
    folder: Folder,
    port: String,
}

impl Drop for Shown {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Shown {
    fn start(name: &str, is_ca: IsCa) -> Self {
        let folder = Folder::new(name);
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.is_ca = is_ca;
        let cert = params.self_signed(&key).unwrap();
        fs::write(folder.join("cert.pem"), cert.pem()).unwrap();
        fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
        let child = Command::new(PROGRAM)
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(folder.join("data"))
            .env("INSULA_TLS__CERT", folder.join("cert.pem"))
            .env("INSULA_TLS__KEY", folder.join("key.pem"))
            .env("TESTKIT_ENDS_WITH_PARENT", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.join("log.txt")).unwrap())
            .spawn()
            .unwrap();
        let port = poll::until("the server starts", 60, || {
            let text = fs::read_to_string(folder.join("data/listen.json")).ok()?;
            let found: Value = serde_json::from_str(&text).ok()?;
            Some(found["address"].as_str()?.rsplit_once(':')?.1.to_owned())
        });
        Self {
            child,
            folder,
            port,
        }
    }

    /// Lists tenants; `ca`: the server's certificate is named as whom to trust.
    fn list(&self, host: &str, ca: bool) -> Output {
        let mut command = Command::new(PROGRAM);
        command.args(["tenant", "list", "--url"]);
        command.arg(format!("https://{host}:{}", self.port));
        command.arg("--token-file");
        command.arg(self.folder.join("data/operator.token"));
        if ca {
            command.arg("--ca").arg(self.folder.join("cert.pem"));
        }
        command.output().unwrap()
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn commands_say_why_a_server_is_not_trusted() {
    let plain = Shown::start("tls-plain", IsCa::ExplicitNoCa);
    let unknown = said(&plain.list("localhost", false));
    assert!(
        unknown.contains("is not trusted") && unknown.contains("--ca FILE"),
        "{unknown}"
    );
    let good = plain.list("localhost", true);
    assert!(good.status.success(), "{}", said(&good));
    let name = said(&plain.list("127.0.0.1", true));
    assert!(name.contains("for another name"), "{name}");

    let authority = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = Shown::start("tls-authority", authority);
    let refused = said(&authority.list("localhost", true));
    assert!(
        refused.contains("CA:TRUE") && refused.contains("CA:FALSE"),
        "{refused}"
    );
    for text in [&unknown, &name, &refused] {
        assert!(
            !text.contains("Error(") && !text.contains("Unknown"),
            "{text}"
        );
    }
    // Nobody who never said a word is waited for.
    let silent = TcpStream::connect(("127.0.0.1", authority.port.parse().unwrap())).unwrap();
    let pid = authority.child.id().to_string();
    let told = Command::new("kill").args(["-TERM", &pid]).status();
    assert!(told.unwrap().success());
    let mut authority = authority;
    let ended = poll::until("it ends", 30, || authority.child.try_wait().unwrap());
    assert!(ended.success());
    let log = log_of(&authority.folder.join("log.txt"));
    assert!(log.contains("stopping") && !log.contains(STILL), "{log}");
    drop(silent);
}

fn log_of(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}
