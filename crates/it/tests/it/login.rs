//! `insula login`, as somebody of a clinic uses it: the command waits, they sign in in a browser, and commands
//! that are the clinic's own go by the token.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use serde_json::{Value, json};
use testkit::Request;
use testkit::http::Answer;
use testkit::world::word;

use crate::sign_in::{Browser, PASSWORD, accept, admin, free_port};
use crate::world::own;

/// The page of a browser on this machine that a program listens for.
fn sent_back(url: &str) -> Answer {
    let rest = url.strip_prefix("http://").unwrap();
    let (address, path) = rest.split_once('/').unwrap();
    testkit::http::ask(address, &Request::new("GET", &format!("/{path}")))
}

fn location(answer: &Answer) -> String {
    answer.header("location").unwrap().to_owned()
}

#[test]
fn somebody_signs_in_in_a_browser_and_works_by_commands() {
    let world = own("login", &[]);
    let server = world.server();
    let tenant = world.tenant();
    let root = json!({ "login": "root", "name": "Root", "roles": ["tenant-administrator"] });
    let made = admin(&tenant, "/people", &root);
    accept(&tenant, made["invitation"].as_str().unwrap());
    // Who administers people looks at nothing by that; policy says who does.
    let grants = json!({ "grants": [{ "name": "keeper", "who": { "roles": ["tenant-administrator"] },
        "actions": ["administer"], "types": ["*"] }] });
    let policy = world.folder().join("policy.json");
    fs::write(&policy, grants.to_string()).unwrap();
    let policy = policy.to_str().unwrap();
    let publish = ["policy", "publish", policy, "--reason", "test"];
    server.run(&[&publish[..], &["--tenant", tenant.name()]].concat());
    let port = free_port().to_string();
    let client = server.run(&[
        "client",
        "create",
        "--json",
        "--tenant",
        tenant.name(),
        "--name",
        "Command line",
        "--public",
        "--redirect-uri",
        "http://127.0.0.1/callback",
        "--scope",
        "openid fhirUser user/*.cruds",
    ]);
    let client: Value = serde_json::from_str(&client).unwrap();
    let file = world.folder().join("token");
    let mut command = server.spawn(&[
        "login",
        "--tenant",
        tenant.name(),
        "--client",
        word(&client, "client_id"),
        "--port",
        &port,
        "--to",
        file.to_str().unwrap(),
    ]);
    let mut out = BufReader::new(command.stdout.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("http") {
        line.clear();
        assert!(
            out.read_line(&mut line).unwrap() > 0,
            "it says where to sign in"
        );
    }
    let asked = line
        .trim()
        .strip_prefix(&format!("http://{}", server.address()));
    // These requests name another host, and the clinic's addresses are under that.
    let own = format!("http://{}", server.address());
    let asked = asked.unwrap().replace(&own, "http://localhost");

    // A browser: to the sign-in, to the question, and back to the command.
    let mut browser = Browser::new(&tenant);
    let to = location(&browser.ask(Request::new("GET", &asked)).expect(303));
    let path = |url: &str| {
        let page = url.split_once("/auth/").unwrap_or_else(|| panic!("{url}"));
        page.1.to_owned()
    };
    let page = browser.page(&path(&to));
    let fields = [("login", "root"), ("password", PASSWORD)];
    let to = location(&browser.send("login", &page, &fields).expect(303));
    let page = browser.page(&path(&to));
    assert!(page.contains("Command line"), "{page}");
    // Others who knock are passed over.
    let callback = format!("http://127.0.0.1:{port}/callback");
    assert_eq!(sent_back(&format!("http://127.0.0.1:{port}/")).status, 404);
    assert_eq!(
        sent_back(&format!("{callback}?code=x&state=other")).status,
        400
    );
    let to = location(&browser.approve(&page).expect(303));
    assert!(to.starts_with(&format!("{callback}?code=")), "{to}");
    let told = sent_back(&to).expect(200);
    assert!(told.text().contains("You are signed in"));
    let mut said = String::new();
    out.read_to_string(&mut said).unwrap();
    assert!(command.wait().unwrap().success());
    assert!(said.contains(file.to_str().unwrap()), "{said}");
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);

    // What the clinic keeps to itself.
    let bearer = file.to_str().unwrap();
    let by = ["--tenant", tenant.name(), "--bearer-file", bearer];
    let alerts = server.run(&[&["alerts", "list", "--json"][..], &by].concat());
    let alerts: Value = serde_json::from_str(&alerts).unwrap();
    let rules: Vec<&Value> = alerts["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| &a["rule"])
        .collect();
    assert_eq!(rules, [&json!("operator-policy")]);
    // And what is theirs alone to decide: an unknown alert is none, and not a refusal.
    let unknown = server.spawn(&[&["alerts", "show", "4711"][..], &by].concat());
    let unknown = unknown.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(said.contains("no alert 4711"), "{said}");
}

#[test]
fn whoever_says_no_gets_no_token() {
    let world = own("login-refused", &[]);
    let server = world.server();
    let tenant = world.tenant();
    let port = free_port().to_string();
    let file = world.folder().join("token");
    let words = [
        "login",
        "--tenant",
        tenant.name(),
        "--client",
        "x",
        "--port",
        &port,
        "--to",
    ];
    let mut command = server.spawn(&[&words[..], &[file.to_str().unwrap()]].concat());
    let mut out = BufReader::new(command.stdout.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("http") {
        line.clear();
        assert!(out.read_line(&mut line).unwrap() > 0);
    }
    let state = line.trim().split("&state=").nth(1).unwrap();
    let state = state.split('&').next().unwrap();
    let back = format!("http://127.0.0.1:{port}/callback?error=access_denied&state={state}");
    sent_back(&back).expect(200);
    let ended = command.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(said.contains("access_denied"), "{said}");
    assert!(!file.exists());
    // A port that is taken is told before anything is asked.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let words = [
        "login",
        "--tenant",
        tenant.name(),
        "--client",
        "x",
        "--port",
        &port,
        "--to",
    ];
    let refused = server.spawn(&[&words[..], &["t"]].concat());
    let refused = refused.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("--port"), "{said}");
}

#[test]
fn operators_have_tokens_of_their_own() {
    let world = own("operators", &[]);
    let server = world.server();
    let data = server.data().to_str().unwrap();
    let operator = |words: &[&str]| {
        let mut command = Command::new(crate::world::PROGRAM);
        let output = command
            .arg("operator")
            .args(words)
            .args(["--data", data, "--json"]);
        output.output().unwrap()
    };
    let made = operator(&["create", "ann"]);
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    let file = word(&made, "token_file");
    assert_eq!(fs::metadata(file).unwrap().mode() & 0o777, 0o600);
    let by_ann = |words: &[&str]| {
        let mut command = Command::new(crate::world::PROGRAM);
        let url = format!("http://{}", server.address());
        let command = command
            .args(words)
            .args(["--url", &url, "--token-file", file]);
        command.output().unwrap()
    };
    assert!(by_ann(&["tenant", "create", "lakeside"]).status.success());
    let trail = server.run(&["audit", "--tenant", "lakeside"]);
    assert!(trail.contains("operator:ann"), "{trail}");
    let listed = operator(&["list"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed[0]["name"], "ann");
    for bad in [
        &["create", "ann"][..],
        &["create", "Ann Smith"],
        &["revoke", "bob"],
    ] {
        assert_eq!(operator(bad).status.code(), Some(1), "{bad:?}");
    }
    assert!(operator(&["revoke", "ann"]).status.success());
    fs::write(world.folder().join("kept"), "").unwrap();
    assert_eq!(by_ann(&["tenant", "list"]).status.code(), Some(1));
    // A reader of the output who has seen enough is no failure.
    let script = format!(
        "{} audit --tenant lakeside --url http://{} --token-file {}/operator.token | head -c 1 >/dev/null; \
         echo ${{PIPESTATUS[0]}}",
        crate::world::PROGRAM,
        server.address(),
        data,
    );
    let piped = Command::new("bash").args(["-c", &script]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&piped.stdout).trim(), "0");
    server.run(&[
        "tenant",
        "change",
        "lakeside",
        "--cors-origin",
        "https://app.example",
    ]);
    let changed = server.run(&[
        "tenant",
        "change",
        "lakeside",
        "--no-cors-origins",
        "--json",
    ]);
    let changed: Value = serde_json::from_str(&changed).unwrap();
    assert!(
        changed["config"]["cors_origins"]
            .as_array()
            .is_none_or(Vec::is_empty)
    );
}
