//! The command line as an operator uses it: words in, text or JSON and an exit code out.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use testkit::build::{observation, patient, with_id};
use testkit::world::{Caller, word};
use testkit::{Folder, Insula, Request};

use crate::world::{PROGRAM, own};

/// Runs a command against a server.
fn run(server: &Insula, words: &[&str]) -> Output {
    server.spawn(words).wait_with_output().unwrap()
}

/// The JSON that a command of success prints.
#[track_caller]
fn json_of(server: &Insula, words: &[&str]) -> Value {
    let words: Vec<&str> = words.iter().copied().chain(["--json"]).collect();
    serde_json::from_str(&server.run(&words)).expect("JSON")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_tenant_lives_and_ends_by_commands() {
    let world = own("commands", &[]);
    let server = world.server();
    let made = json_of(
        server,
        &[
            "tenant",
            "create",
            "lakeside",
            "--display",
            "Lakeside Dental",
        ],
    );
    assert_eq!(
        (word(&made, "name"), word(&made, "state")),
        ("lakeside", "active")
    );
    server.run(&["tenant", "create", "hillcrest", "--references", "enforced"]);
    let listed = json_of(server, &["tenant", "list"]);
    let names: Vec<&str> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|t| word(t, "name"))
        .collect();
    assert_eq!(names, ["hillcrest", "lakeside"]);
    let shown = json_of(server, &["tenant", "show", "hillcrest"]);
    assert_eq!(shown["config"]["references"], "enforced");
    let text = server.run(&["tenant", "list"]);
    assert!(
        text.contains("Lakeside Dental") && text.starts_with("NAME"),
        "{text}"
    );

    let made = json_of(
        server,
        &[
            "client",
            "create",
            "--tenant",
            "lakeside",
            "--name",
            "A vendor",
            "--scope",
            "system/Patient.rs system/Observation.rs",
        ],
    );
    let (id, secret) = (word(&made, "client_id"), word(&made, "client_secret"));
    let token = testkit::world::token(server, "lakeside", id, secret);
    let caller = Caller::of(server, "lakeside", Some(format!("Bearer {token}")));
    caller.get("/Patient").expect(200);
    let listed = json_of(server, &["client", "list", "--tenant", "lakeside"]);
    assert_eq!(
        listed[0]["scopes"],
        json!(["system/Patient.rs", "system/Observation.rs"])
    );
    assert!(
        !listed.to_string().contains(secret),
        "secrets are shown once"
    );

    server.run(&["tenant", "suspend", "lakeside"]);
    caller.get("/Patient").expect(503);
    server.run(&["tenant", "resume", "lakeside"]);
    caller.get("/Patient").expect(200);
    let delete = ["tenant", "delete", "lakeside", "--confirm", "lakeside"];
    server.run(&delete);
    caller.get("/Patient").expect(410);
    let leaves = || json_of(server, &["tenant", "show", "lakeside"])["shred_at"].clone();
    let date = leaves();
    let again = server.run(&delete);
    assert!(again.contains("leaving already"), "{again}");
    assert_eq!(leaves(), date, "the date stays");
    server.run(&["tenant", "resume", "lakeside"]);
    caller.get("/Patient").expect(200);
    server.run(&["client", "revoke", "--tenant", "lakeside", id]);
    caller.get("/Patient").expect(401);

    server.run(&[&delete[..], &["--grace", "0"]].concat());
    let receipt = json_of(server, &["tenant", "receipt", "lakeside"]);
    assert!(receipt.to_string().contains("signature"), "{receipt}");
    caller.get("/Patient").expect(404);
}

#[test]
fn a_tenant_is_changed_and_presets_are_listed_by_commands() {
    let world = own("changes", &[]);
    let server = world.server();
    server.run(&["tenant", "create", "lakeside"]);
    server.run(&["tenant", "change", "lakeside", "--audit-retention", "400"]);
    let words = [
        "tenant",
        "change",
        "lakeside",
        "--display",
        "Lakeside",
        "--legal-hold",
        "true",
    ];
    let changed = json_of(server, &words);
    assert_eq!(word(&changed, "display"), "Lakeside");
    assert_eq!(changed["config"]["legal_hold"], true);
    assert_eq!(changed["config"]["audit_retention_days"], 400, "stays");
    let presets = server.run(&["policy", "presets"]);
    assert!(presets.contains("own-facility"), "{presets}");
    let anew = [
        "tenant",
        "begin-anew",
        "lakeside",
        "--by",
        "Ada",
        "--reason",
        "to see",
    ];
    let refused = run(server, &anew);
    assert!(
        stderr(&refused).contains("request-invalid"),
        "{}",
        stderr(&refused)
    );
}

#[test]
fn grants_of_an_earlier_ready_policy_are_renewed_by_a_draft() {
    let world = own("outdated", &[]);
    let (server, tenant) = (world.server(), world.tenant());
    let folder = Folder::new("outdated-input");
    let (old, draft) = (folder.join("old.json"), folder.join("draft.json"));
    let who = json!({ "roles": ["clinician"] });
    let charts = json!({ "grants": [{ "name": "clinician: charts", "who": who, "actions": "cruds",
        "types": ["*"], "within": "Patient?organization=%user.facilities" }] });
    fs::write(&old, charts.to_string()).unwrap();
    let publish = |file: &Path| {
        let words = [
            "policy",
            "publish",
            "--tenant",
            tenant.name(),
            "--reason",
            "test",
        ];
        server.run(&[&words[..], &[file.to_str().unwrap()]].concat())
    };
    let outdated = || {
        let words = ["policy", "outdated", "--tenant", tenant.name(), "--draft"];
        server.run(&[&words[..], &[draft.to_str().unwrap()]].concat())
    };
    assert!(publish(&old).contains("warning: "));
    assert!(outdated().contains("\"clinician: charts\""));
    let renewed: Value = serde_json::from_slice(&fs::read(&draft).unwrap()).unwrap();
    assert_eq!(renewed["grants"][0]["by"], "facility");
    assert!(!publish(&draft).contains("earlier version"));
    assert_eq!(outdated().trim(), "none");
}

#[test]
fn what_comes_again_is_imported_once() {
    let world = own("again", &[]);
    let tenant = world.tenant();
    let folder = Folder::new("again-input");
    let text: Vec<String> = ["p1", "p2"]
        .iter()
        .map(|id| with_id(patient("Kept"), id).to_string())
        .collect();
    let input = folder.join("patients.ndjson");
    fs::write(&input, text.join("\n")).unwrap();
    let words = ["import", "--tenant", tenant.name(), input.to_str().unwrap()];
    let first = json_of(world.server(), &words);
    assert_eq!(
        (&first["written"], &first["repeated"]),
        (&json!(2), &json!(0))
    );
    let again = json_of(world.server(), &words);
    assert_eq!(
        (&again["written"], &again["repeated"]),
        (&json!(0), &json!(2))
    );
    let owner = tenant.owner();
    let history = owner.get("/Patient/p1/_history").expect(200).json();
    assert_eq!(history["total"], 1, "no second version");
}

#[test]
fn programs_that_wait_are_decided_about() {
    let world = own("waiting", &[]);
    let server = world.server();
    let tenant = world.tenant_with(&json!({ "registration": "anyone" }));
    let name = tenant.name();
    let register = || {
        let metadata = json!({
            "client_name": "Lab", "grant_types": ["client_credentials"],
            "scope": "system/Patient.rs system/Observation.rs",
        });
        let target = format!("/t/{name}/auth/register");
        let request = Request::new("POST", &target);
        let request = request.content("application/json", metadata.to_string());
        server.ask(&request).expect(201).json()
    };
    let (one, two) = (register(), register());
    let of = ["--tenant", name];
    let waiting = json_of(server, &[&["client", "pending"], &of[..]].concat());
    assert_eq!(waiting.as_array().unwrap().len(), 2);
    assert!(!waiting.to_string().contains(word(&one, "client_secret")));
    let id = word(&one, "client_id");
    let scope = ["--scope", "system/Patient.rs"];
    let approve = [&["client", "approve", id], &of[..], &scope[..]].concat();
    let made = json_of(server, &approve);
    assert_eq!(made["scopes"], json!(["system/Patient.rs"]));
    let token = testkit::world::token(server, name, id, word(&one, "client_secret"));
    let caller = Caller::of(server, name, Some(format!("Bearer {token}")));
    caller.get("/Patient").expect(200);
    caller.get("/Observation").expect(403);
    let id = word(&two, "client_id");
    server.run(&[&["client", "refuse", id], &of[..]].concat());
    let waiting = json_of(server, &[&["client", "pending"], &of[..]].concat());
    assert_eq!(waiting, json!([]));
}

#[test]
fn exit_codes_tell_refusal_from_wrong_usage() {
    let world = own("exits", &[]);
    let server = world.server();
    let check = |words: &[&str], code: i32, says: &str| {
        let output = run(server, words);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{words:?}: {}",
            stderr(&output)
        );
        assert!(
            stderr(&output).contains(says),
            "{words:?}: {}",
            stderr(&output)
        );
        assert!(
            output.stdout.is_empty(),
            "{words:?} says something on standard output"
        );
    };
    check(&["tenant", "show", "nobody"], 1, "tenant-unknown");
    check(&["tenant", "show", "../../x"], 1, "tenant name");
    check(&["tenant", "create", "UPPER"], 1, "tenant name");
    check(
        &["tenant", "delete", "one", "--confirm", "other"],
        1,
        "repeat",
    );
    check(&["verify", "--tenant", "nobody"], 1, "tenant-unknown");
    check(
        &["client", "revoke", "--tenant", "nobody", "a/../b"],
        1,
        "not a client id",
    );
    check(
        &["import", "--tenant", "nobody", "/dev/null"],
        1,
        "tenant-unknown",
    );
    check(&["tenant", "explode"], 2, "explode");
    check(&["import", "--tenant", "nobody"], 2, "PATH");
    check(&["tenant", "create"], 2, "NAME");
    let nowhere = Command::new(PROGRAM)
        .args([
            "tenant",
            "list",
            "--url",
            "http://127.0.0.1:9",
            "--token-file",
        ])
        .arg(server.data().join("operator.token"))
        .output()
        .unwrap();
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(
        stderr(&nowhere).contains("http://127.0.0.1:9"),
        "{}",
        stderr(&nowhere)
    );
    assert!(
        !stderr(&nowhere).contains(server.operator()),
        "the token stays secret"
    );
}

#[test]
fn the_data_folder_says_where_the_server_is() {
    let world = own("folder", &[]);
    let server = world.server();
    server.run(&["tenant", "create", "lakeside"]);
    let output = Command::new(PROGRAM)
        .args(["tenant", "list", "--json", "--data"])
        .arg(server.data())
        .env_remove("INSULA_URL")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let listed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(listed[0]["name"], "lakeside");
}

#[test]
fn a_backup_with_a_path_is_moved_there_and_back() {
    let world = own("paths", &[]);
    let server = world.server();
    let tenant = world.tenant();
    tenant
        .owner()
        .put(&with_id(patient("Kept"), "p1"))
        .expect(201);
    let file = world.folder().join("elsewhere.backup");
    let path = file.to_str().unwrap();
    server.run(&["backup", tenant.name(), path]);
    assert!(fs::metadata(&file).unwrap().len() > 0);
    let backups = server.data().join("backups");
    let left = || fs::read_dir(&backups).unwrap().count();
    assert_eq!(left(), 0, "nothing stays in the server's folder");
    let again = run(server, &["backup", tenant.name(), path]);
    assert_eq!(
        again.status.code(),
        Some(1),
        "a backup does not replace a file"
    );
    assert!(stderr(&again).contains(path), "{}", stderr(&again));
    // What cannot be written is found before there is a backup.
    let nowhere = world.folder().join("none/a.backup");
    let refused = run(
        server,
        &["backup", tenant.name(), nowhere.to_str().unwrap()],
    );
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("none/a.backup"));
    assert_eq!(left(), 0, "nothing was made for it");
    // A backup of the same name in the server's folder is another one.
    server.run(&["backup", tenant.name(), "same.backup"]);
    let twice = run(server, &["backup", tenant.name(), "same.backup"]);
    let twice = stderr(&twice);
    assert!(
        twice.contains("backup-exists") && twice.contains("same.backup"),
        "{twice}"
    );
    let same = world.folder().join("same.backup");
    server.run(&["backup", tenant.name(), same.to_str().unwrap()]);
    assert!(fs::metadata(&same).unwrap().len() > 0);
    fs::remove_file(backups.join("same.backup")).unwrap();

    let backups_word = backups.to_str().unwrap();
    server.run(&["restore", path, "--as", "again", "--backups", backups_word]);
    assert_eq!(left(), 0);
    let (id, secret) = testkit::world::create_client(server, "again", &["system/*.rs"]);
    let token = testkit::world::token(server, "again", &id, &secret);
    let caller = Caller::of(server, "again", Some(format!("Bearer {token}")));
    caller.get("/Patient/p1").expect(200);

    fs::write(&file, "not a backup").unwrap();
    let refused = run(
        server,
        &["restore", path, "--as", "third", "--backups", backups_word],
    );
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        stderr(&refused).contains("backup-invalid"),
        "{}",
        stderr(&refused)
    );
    assert_eq!(left(), 0, "also after a refusal");
}

#[test]
fn the_key_is_exported_without_a_server() {
    let world = own("key", &[]);
    let data = world.server().data().to_owned();
    let key = fs::read(data.join("insula.key")).unwrap();
    let copy = world.folder().join("copy.key");
    let export = |words: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command
            .args(["key", "export"])
            .args(words)
            .arg("--data")
            .arg(&data);
        command
            .env("INSULA_URL", "http://127.0.0.1:9")
            .output()
            .unwrap()
    };
    assert_eq!(export(&[]).stdout, key);
    assert!(export(&["--to", copy.to_str().unwrap()]).status.success());
    assert_eq!(fs::read(&copy).unwrap(), key);
    let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(&copy).unwrap());
    assert_eq!(mode & 0o777, 0o600);
    let again = export(&["--to", copy.to_str().unwrap()]);
    assert_eq!(
        again.status.code(),
        Some(1),
        "a key file is never written over"
    );
}

#[test]
fn rejects_are_written_down_and_the_rest_is_loaded() {
    let world = own("rejects", &[]);
    let tenant = world.tenant();
    let folder = Folder::new("rejects-input");
    let mut bad = with_id(patient("Bad"), "p2");
    bad["favouriteColour"] = json!("blue");
    let lines = [
        with_id(patient("Good"), "p1"),
        bad,
        with_id(patient("Good"), "p3"),
    ];
    let text: Vec<String> = lines.iter().map(Value::to_string).collect();
    fs::write(folder.join("patients.ndjson"), text.join("\n")).unwrap();
    let (input, rejects) = (
        folder.join("patients.ndjson"),
        folder.join("rejects.ndjson"),
    );
    let words = [
        "import",
        "--json",
        "--tenant",
        tenant.name(),
        input.to_str().unwrap(),
        "--rejects",
        rejects.to_str().unwrap(),
    ];
    let output = run(world.server(), &words);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&summary["written"], &summary["rejected"]),
        (&json!(2), &json!(1))
    );
    let reject: Value = serde_json::from_str(&fs::read_to_string(&rejects).unwrap()).unwrap();
    assert_eq!(
        (&reject["line"], &reject["code"]),
        (&json!(2), &json!("element-unknown"))
    );
    assert_eq!(reject["resource"], "Patient/p2");
    assert!(
        word(&reject, "reason").contains("favouriteColour"),
        "{reject}"
    );
    let caller = tenant.owner();
    let mut found = caller.found("Patient");
    found.sort();
    assert_eq!(found, ["p1", "p3"]);
}

#[test]
fn an_import_into_an_enforcing_tenant_waits_for_targets() {
    let world = own("waits", &[]);
    let tenant = world.tenant_with(&json!({"references": "enforced"}));
    let folder = Folder::new("waits-input");
    // Small files come first: the observations are sent before the patients.
    let about = |i: u32| {
        with_id(
            observation(&format!("Patient/p{i}"), "718-7", 13.0),
            &format!("o{i}"),
        )
    };
    let observations: Vec<String> = (0..10).map(|i| about(i).to_string()).collect();
    fs::write(folder.join("observations.ndjson"), observations.join("\n")).unwrap();
    let long = "n".repeat(400);
    let patients: Vec<String> = (0..9)
        .map(|i| with_id(patient(&long), &format!("p{i}")).to_string())
        .collect();
    fs::write(folder.join("patients.ndjson"), patients.join("\n")).unwrap();
    let rejects = folder.join("rejects.out");
    let words = [
        "import",
        "--json",
        "--batch",
        "4",
        "--tenant",
        tenant.name(),
        folder.path().to_str().unwrap(),
        "--rejects",
        rejects.to_str().unwrap(),
    ];
    let output = run(world.server(), &words);
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&summary["written"], &summary["rejected"]),
        (&json!(18), &json!(1)),
        "{summary}"
    );
    let reject: Value = serde_json::from_str(&fs::read_to_string(&rejects).unwrap()).unwrap();
    assert_eq!(reject["resource"], "Observation/o9");
}

#[test]
fn the_demo_shows_three_clinics_and_the_wall() {
    let scratch = Folder::new("demo");
    let mut demo = Command::new(PROGRAM)
        .args([
            "demo",
            "--json",
            "--size",
            "0.03",
            "--listen",
            "127.0.0.1:0",
            "--today",
            "2026-11-22",
        ])
        .env("TMPDIR", scratch.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut out = std::io::BufReader::new(demo.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut out, &mut line).unwrap();
    let told: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}"));
    let address = word(&told, "url").strip_prefix("http://").unwrap();
    let clinics = told["clinics"].as_array().unwrap();
    let names: Vec<&str> = clinics.iter().map(|c| word(c, "tenant")).collect();
    assert_eq!(names, ["lakeside", "hillcrest", "st-brigid"]);
    let ask = |at: &Value, by: &Value, path: &str| {
        let basic = testkit::world::basic(word(by, "client_id"), word(by, "client_secret"));
        let target = format!("/t/{}/fhir/{path}", word(at, "tenant"));
        testkit::http::ask(
            address,
            &Request::new("GET", &target).header("Authorization", &basic),
        )
    };
    for clinic in clinics {
        assert_eq!(clinic["loaded"]["rejected"], 0);
        for (kind, count) in clinic["loaded"]["types"].as_object().unwrap() {
            let found = ask(clinic, clinic, &format!("{kind}?_summary=count"))
                .expect(200)
                .json();
            assert_eq!(
                &found["total"],
                count,
                "{kind} in {}",
                word(clinic, "tenant")
            );
        }
        ask(clinic, clinic, "Patient/p1").expect(200);
    }
    ask(&clinics[1], &clinics[0], "Patient/p1").expect(401);
    let data = Path::new(word(&told, "data")).to_owned();
    assert!(data.starts_with(scratch.path()) && data.exists());
    let told = Command::new("kill")
        .args(["-INT", &demo.id().to_string()])
        .status()
        .unwrap();
    assert!(told.success() && demo.wait().unwrap().success());
    assert!(!data.exists(), "the folder is removed");
}

#[test]
fn alerts_are_worked_on_by_commands() {
    let world = own("alerts", &[]);
    let server = world.server();
    let tenant = world.tenant();
    let name = tenant.name();
    let governed = |roles: &str, scopes: &str| {
        let role = ["--role", roles, "--scope", scopes, "--name", roles];
        let of = ["client", "create", "--tenant", name];
        let made = json_of(server, &[&of[..], &role[..]].concat());
        let file = world.folder().join(&format!("{roles}.secret"));
        fs::write(&file, word(&made, "client_secret")).unwrap();
        let id = word(&made, "client_id").to_owned();
        (id, file.display().to_string())
    };
    let policy = world.folder().join("policy.json");
    let grants = json!({ "grants": [{ "name": "keeper", "who": { "roles": ["keeper"] },
        "actions": ["administer"], "types": ["*"] }] });
    fs::write(&policy, grants.to_string()).unwrap();
    let policy = policy.display().to_string();
    let of = ["--tenant", name];
    let publish = ["policy", "publish", &policy, "--reason", "test"];
    server.run(&[&publish[..], &of[..]].concat());
    let (id, secret) = governed("keeper", "system/*.cruds");
    let by = ["--tenant", name, "--client", &id, "--secret-file", &secret];
    fn joined<'w>(words: &[&'w str], by: &[&'w str]) -> Vec<&'w str> {
        [&["alerts"][..], words, by].concat()
    }
    let none = json_of(server, &joined(&["list"], &by));
    assert_eq!(none["items"], json!([]));

    // Rules: shown, published, compared.
    let rules = world.folder().join("rules.json");
    let document = json!({ "rules": { "failed-sign-ins": { "atLeast": 2 } } });
    fs::write(&rules, document.to_string()).unwrap();
    let rules = rules.display().to_string();
    let ready = json_of(server, &joined(&["rules", "show"], &by));
    assert_eq!(ready["document"]["rules"]["failed-sign-ins"]["atLeast"], 5);
    let publish = [
        "rules", "publish", &rules, "--reason", "small", "--after", "0",
    ];
    assert_eq!(json_of(server, &joined(&publish, &by))["version"], 1);
    let again = run(server, &joined(&publish, &by));
    assert_eq!(again.status.code(), Some(1));
    assert!(
        stderr(&again).contains("version-conflict"),
        "{}",
        stderr(&again)
    );
    let diff = server.run(&joined(&["rules", "diff", "0", "1"], &by));
    assert_eq!(diff.trim(), "rules.failed-sign-ins.atLeast: 5 -> 2");
    let versions = json_of(server, &joined(&["rules", "versions"], &by));
    assert_eq!(versions[0]["reason"], "small");

    // Somebody guesses, and the watch sees it.
    for _ in 0..3 {
        let target = format!("/t/{name}/auth/token");
        let request = Request::new("POST", &target);
        let request = request.header("Authorization", &testkit::world::basic(&id, "wrong"));
        let form = "application/x-www-form-urlencoded";
        let request = request.content(form, "grant_type=client_credentials");
        server.ask(&request).expect(401);
    }
    let found = testkit::poll::until("an alert", 60, || {
        let found = json_of(server, &joined(&["list", "--rule", "failed-sign-ins"], &by));
        found["items"].get(0).cloned()
    });
    let number = found["number"].to_string();
    let told = server.run(&joined(&["show", &number], &by));
    assert!(
        told.contains("Sign-ins failed") && told.contains("event: AuditEvent/"),
        "{told}"
    );
    let listed = server.run(&joined(&["list"], &by));
    assert!(
        listed.starts_with("NUMBER") && listed.contains("failed-sign-ins"),
        "{listed}"
    );
    let counts = json_of(server, &["alerts", "count", "--tenant", name]);
    assert_eq!(counts["acknowledged"], 0);
    // A program vouches for nothing.
    let said = ["acknowledge", &number, "--verdict", "explained"];
    let refused = run(server, &joined(&said, &by));
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        stderr(&refused).contains("scope-missing"),
        "{}",
        stderr(&refused)
    );
    let unknown = run(server, &joined(&["show", "4711"], &by));
    assert_eq!(unknown.status.code(), Some(1));
    let usage = run(server, &joined(&["list", "--state", "maybe"], &by));
    assert_eq!(usage.status.code(), Some(2));
}

#[test]
fn files_of_a_folder_are_taken_or_named() {
    let world = own("passed", &[]);
    let tenant = world.tenant();
    let folder = Folder::new("passed-input");
    let write = |name: &str, id: &str| {
        let text = with_id(patient("Loaded"), id).to_string();
        fs::write(folder.join(name), text).unwrap();
    };
    write("UP.JSON", "p1");
    write("Lines.NDJSON", "p2");
    write("low.json", "p3");
    write("notes.txt", "p4");
    write("table.csv", "p5");
    let input = folder.join("").display().to_string();
    let words = ["import", "--tenant", tenant.name(), &input];
    let summary = json_of(world.server(), &words);
    assert_eq!(summary["written"], 3);
    let passed = summary["passed_over"].as_array().unwrap();
    let ends = |at: usize, name: &str| passed[at].as_str().unwrap().ends_with(name);
    assert!(
        passed.len() == 2 && ends(0, "notes.txt") && ends(1, "table.csv"),
        "{summary}"
    );
    let text = world.server().run(&words);
    assert!(
        text.contains("2 files were passed over") && text.contains("table.csv"),
        "{text}"
    );
    let mut found = tenant.owner().found("Patient");
    found.sort();
    assert_eq!(found, ["p1", "p2", "p3"]);
}

#[test]
fn a_file_that_holds_no_token_is_told_and_a_server_that_is_not_there() {
    let folder = Folder::new("no-token");
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!("http://{}", socket.local_addr().unwrap());
    drop(socket);
    let token = folder.join("token");
    let said = |words: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command.args(words).args(["--url", &nobody, "--token-file"]);
        let output = command.arg(&token).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        stderr(&output)
    };
    fs::write(&token, "import os\nprint(os)\n").unwrap();
    let several = said(&["tenant", "list"]);
    assert!(
        several.contains("no operator token") && several.contains("several lines"),
        "{several}"
    );
    fs::write(&token, "abc\n").unwrap();
    let input = folder.join("a.json");
    fs::write(&input, with_id(patient("One"), "p1").to_string()).unwrap();
    for words in [
        &["tenant", "list"][..],
        &["import", "--tenant", "lakeside", input.to_str().unwrap()],
    ] {
        let refused = said(words);
        assert!(refused.contains("is the server there?"), "{refused}");
    }
}
