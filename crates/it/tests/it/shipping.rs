//! Trails on their way to somebody outside: to a real syslog receiver over TLS, which comes and goes, and to
//! a file of OCSF events that is judged by the framework's own schema.

use std::fs;
use std::process::{Child, Command};

use serde_json::{Value, json};
use testkit::build::{patient, with_id};
use testkit::poll::until;
use testkit::world::{create_tenant, create_tenant_of};
use testkit::{Folder, Insula, Request, outside};

use crate::trail::reader;

/// A receiver of another maker, with certificates of its own.
struct Rsyslog {
    folder: Folder,
    port: u16,
    /// Its driver for TLS.
    driver: &'static str,
    process: Option<Child>,
}

impl Rsyslog {
    /// One that is not started yet; none where it is not installed.
    fn new(name: &str) -> Option<Self> {
        if Command::new("rsyslogd").arg("-v").output().is_err() {
            outside::skipped("there is no rsyslogd; `cargo xtask test` brings it");
            return None;
        }
        let folder = Folder::new(name);
        // That of OpenSSL ends lines as it should; that of GnuTLS does not.
        let has = |path: std::path::PathBuf| path.join("rsyslog/lmnsd_ossl.so").exists();
        let mut folders = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
        let driver = match folders.any(|folder| has(folder.path())) {
            true => "ossl",
            false => "gtls",
        };
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
        fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        let place = |name: &str| folder.join(name).display().to_string();
        let config = format!(
            "global(maxMessageSize=\"64k\" workDirectory=\"{}\"\n\
             defaultNetstreamDriverCAFile=\"{cert}\" defaultNetstreamDriverCertFile=\"{cert}\"\n\
             defaultNetstreamDriverKeyFile=\"{}\")\n\
             main_queue(queue.timeoutShutdown=\"20000\")\n\
             module(load=\"imtcp\" streamDriver.name=\"{driver}\" streamDriver.mode=\"1\" streamDriver.authMode=\"anon\")\n\
             template(name=\"seen\" type=\"string\" string=\"%pri%|%protocol-version%|%app-name%|%msgid%|%structured-data%|%msg%\\n\")\n\
             input(type=\"imtcp\" port=\"{port}\" address=\"127.0.0.1\")\n\
             action(type=\"omfile\" file=\"{}\" template=\"seen\")\n",
            place("."),
            place("key.pem"),
            place("seen"),
            cert = place("cert.pem"),
        );
        fs::write(folder.join("rsyslog.conf"), config).unwrap();
        Some(Self {
            folder,
            port,
            driver,
            process: None,
        })
    }

    fn target(&self) -> String {
        format!("tls://localhost:{}", self.port)
    }

    /// Whether its lines end without TLS's word for it.
    fn bare_end(&self) -> &'static str {
        match self.driver {
            "gtls" => "true",
            _ => "false",
        }
    }

    fn ca(&self) -> String {
        self.folder.join("cert.pem").display().to_string()
    }

    fn start(&mut self) {
        let process = Command::new("rsyslogd")
            .args(["-n", "-i", "NONE", "-f"])
            .arg(self.folder.join("rsyslog.conf"))
            .spawn()
            .unwrap();
        self.process = Some(process);
    }

    /// Stops it as its own script would: what it took is written.
    fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let id = process.id().to_string();
            let told = Command::new("kill").args(["-TERM", &id]).status();
            assert!(told.unwrap().success());
            process.wait().unwrap();
        }
    }

    fn seen(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.join("seen")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Ids of the events that arrived of a tenant, in order, each where it came first.
    fn ids(&self, tenant: &str) -> Vec<String> {
        let mut ids: Vec<String> = Vec::new();
        let of = format!("tenant=\"{tenant}\"");
        for line in self.seen().iter().filter(|l| l.contains(&of)) {
            let (_, rest) = line.split_once(" id=\"").unwrap();
            let (uid, _) = rest.split_once('"').unwrap();
            // The tenant's id, so that no other tenant's event has the same.
            let (tenant, id) = uid.split_once('.').unwrap();
            assert_eq!(tenant.len(), 32, "{uid}");
            if !ids.iter().any(|known| known == id) {
                ids.push(id.to_owned());
            }
        }
        ids
    }
}

impl Drop for Rsyslog {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// What the operator is told of a shipper.
fn shipper(server: &Insula, name: &str) -> Option<Value> {
    let shown = server.admin(Request::new("GET", "/admin/v1/audit/shipping"));
    let shown = shown.expect(200).json();
    let all = shown["shippers"].as_array().unwrap();
    all.iter()
        .find(|s| s["name"] == name || s["tenant"] == name)
        .cloned()
}

fn arrived(server: &Insula, name: &str) {
    until("all has arrived", 60, || {
        let lag = shipper(server, name)?["lag_bytes"].as_u64();
        (lag == Some(0)).then_some(())
    });
}

#[test]
fn every_event_reaches_a_syslog_receiver_over_tls_whoever_of_the_two_was_away() {
    let Some(mut receiver) = Rsyslog::new("rsyslog") else {
        return;
    };
    let folder = Folder::new("shipped");
    let setup = crate::world::setup(&folder.join("data"))
        .set("audit.syslog", &receiver.target())
        .set("audit.syslog_ca", &receiver.ca())
        .set("audit.syslog_bare_end", receiver.bare_end())
        .set("audit.heads_syslog", "true");
    let server = setup.start();
    create_tenant(&server, "north", &json!({}));
    let caller = reader(&server, "north");
    caller.put(&with_id(patient("One"), "1")).expect(201);
    let read = |caller: &testkit::world::Caller, times: usize| {
        for _ in 0..times {
            caller.get("/Patient/1").expect(200);
        }
    };
    // Nobody is there yet: the house goes on, and says that somebody is missed.
    read(&caller, 25);
    until("the receiver is missed", 60, || {
        let shown = shipper(&server, "syslog")?;
        let lags = shown["lag_bytes"].as_u64() > Some(0) || shown["failures"].as_u64() > Some(0);
        (lags && shown["error"].is_string()).then_some(())
    });
    let metrics = server.admin(Request::new("GET", "/metrics"));
    let metrics = String::from_utf8(metrics.body).unwrap();
    assert!(metrics.contains("insula_audit_ship_failures_total{shipper=\"syslog\"}"));
    receiver.start();
    arrived(&server, "syslog");
    // It is stopped while events come, and comes again.
    read(&caller, 10);
    receiver.stop();
    read(&caller, 25);
    // Nor does it matter that the house is away in between.
    let (setup, _) = server.stop();
    let server = setup.start();
    let caller = reader(&server, "north");
    read(&caller, 25);
    receiver.start();
    read(&caller, 25);
    arrived(&server, "syslog");
    let events = caller.found("AuditEvent?_sort=date&_count=1000");
    let wanted: Vec<&str> = events
        .iter()
        .map(|e| e.rsplit('/').next().unwrap())
        .collect();
    assert!(wanted.len() > 110, "{}", wanted.len());
    arrived(&server, "syslog");
    let head = server.run(&["audit", "--tenant", "north", "--head"]);
    let head: Value = serde_json::from_str(&head).unwrap();
    let root = head["root"].as_str().unwrap();
    until("the head has arrived", 60, || {
        let seen = receiver.seen();
        let came = |line: &String| line.contains("|TrailHead|") && line.contains(root);
        seen.iter().any(came).then_some(())
    });
    receiver.stop();
    let came = receiver.ids("north");
    let missing: Vec<_> = wanted
        .iter()
        .filter(|id| !came.iter().any(|c| c == **id))
        .collect();
    assert!(missing.is_empty(), "{missing:?} did not arrive");
    // In order, where each of the two kinds counts on.
    for kind in ["trail-r-", "trail-w-"] {
        let numbers = came.iter().filter_map(|id| id.strip_prefix(kind));
        let numbers: Vec<u64> = numbers.map(|n| n.parse().unwrap()).collect();
        assert!(numbers.is_sorted(), "{numbers:?}");
    }
    let seen = receiver.seen();
    let line = seen.iter().find(|l| l.contains("code=\"read\"")).unwrap();
    assert!(line.starts_with("110|1|insula|AuditEvent|[insula@32473 tenant=\"north\""));
    let event: Value = serde_json::from_str(&line[line.find('{').unwrap()..]).unwrap();
    assert_eq!(event["resourceType"], "AuditEvent");
    let metrics = server.admin(Request::new("GET", "/metrics"));
    let metrics = String::from_utf8(metrics.body).unwrap();
    assert!(metrics.contains("insula_audit_ship_lag_bytes{shipper=\"syslog\"} 0"));
}

#[test]
fn what_is_shipped_of_a_tenant_goes_to_its_own_destination_alone() {
    let (Some(mut house), Some(mut own)) = (Rsyslog::new("rsyslog-h"), Rsyslog::new("rsyslog-o"))
    else {
        return;
    };
    house.start();
    own.start();
    let folder = Folder::new("shipped-apart");
    let server = crate::world::setup(&folder.join("data"))
        .set("audit.syslog", &house.target())
        .set("audit.syslog_ca", &house.ca())
        .set("audit.syslog_bare_end", house.bare_end())
        .start();
    let ca = fs::read_to_string(own.ca()).unwrap();
    let target = own.target();
    let shipping = json!({ "audit_shipping": { "syslog": target, "form": "ocsf", "ca": ca } });
    create_tenant(&server, "south", &shipping);
    create_tenant(&server, "north", &json!({}));
    for tenant in ["north", "south"] {
        let caller = reader(&server, tenant);
        caller.put(&with_id(patient(tenant), tenant)).expect(201);
        caller.search("Patient?name=secretname");
    }
    until("the own shipper is there", 60, || shipper(&server, "south"));
    arrived(&server, "south");
    arrived(&server, "syslog");
    house.stop();
    own.stop();
    let (to_house, to_own) = (house.seen().join("\n"), own.seen().join("\n"));
    assert!(
        to_house.contains("Patient/north") && !to_house.contains("south"),
        "{to_house}"
    );
    assert!(
        to_own.contains("Patient/south") && !to_own.contains("north"),
        "{to_own}"
    );
    assert!(to_own.contains("\"class_uid\":6003"), "{to_own}");
    // It is the operator who sets destinations: none is told what was searched for.
    let hidden = "c2VjcmV0bmFtZ";
    for seen in [&to_house, &to_own] {
        assert!(
            !seen.contains("secretname") && !seen.contains(hidden),
            "{seen}"
        );
    }
    let wrong = json!({ "config": { "audit_shipping": { "syslog": "tcp://10.0.0.1:514" } } });
    let request = Request::new("PATCH", "/admin/v1/tenants/south")
        .content("application/json", wrong.to_string());
    server.admin(request).expect(400);
    // What is not said of it stays; a form without a destination is none.
    let change = |tenant: &str, shipping: serde_json::Value| {
        let body = json!({ "config": { "audit_shipping": shipping } }).to_string();
        let request = Request::new("PATCH", &format!("/admin/v1/tenants/{tenant}"));
        server.admin(request.content("application/json", body))
    };
    let now = change("south", json!({ "form": "rfc5424" }))
        .expect(200)
        .json();
    let now = &now["config"]["audit_shipping"];
    assert_eq!((&now["syslog"], &now["ca"]), (&json!(target), &json!(ca)));
    assert_eq!(now["form"], "rfc5424");
    change("north", json!({ "form": "ocsf" })).expect(400);
}

#[test]
fn ocsf_events_are_good_by_the_schema_of_the_framework() {
    let folder = Folder::new("ocsf");
    let lines = folder.join("ocsf.jsonl");
    // A line that was broken off is no part of the next one.
    fs::write(&lines, "{\"broken\":").unwrap();
    let server = crate::world::setup(&folder.join("data"))
        .set("audit.ocsf", lines.to_str().unwrap())
        .start();
    create_tenant(&server, "north", &json!({}));
    create_tenant_of(&server, "five", "5.0.0", &json!({}));
    for tenant in ["north", "five"] {
        let caller = reader(&server, tenant);
        caller.put(&with_id(patient("One"), "1")).expect(201);
        caller.get("/Patient/1").expect(200);
        caller.get("/Patient/none").expect(404);
        caller.search("Patient?name=One");
        caller.get("/Patient/1/_history").expect(200);
        caller.delete("/Patient/1").expect(204);
    }
    arrived(&server, "ocsf");
    let text = fs::read_to_string(&lines).unwrap();
    let (broken, text) = text.split_once('\n').unwrap();
    assert_eq!(broken, "{\"broken\":");
    let events: Vec<Value> = text
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let good = |event: &Value| {
        let class = event["class_uid"].as_u64().unwrap();
        let activity = event["activity_id"].as_u64().unwrap();
        assert_eq!(event["category_uid"], class / 1_000, "{event}");
        assert_eq!(event["type_uid"], class * 100 + activity, "{event}");
        assert!(event["time"].as_i64() > Some(1_700_000_000_000), "{event}");
        assert!(
            event["severity_id"].is_u64() && event["actor"].is_object(),
            "{event}"
        );
        assert_eq!(event["metadata"]["version"], "1.5.0");
    };
    events.iter().for_each(good);
    let of = |operation: &str| {
        let is = |e: &&Value| e["api"]["operation"] == operation;
        events.iter().filter(is).count()
    };
    assert_eq!((of("read"), of("delete")), (4, 2));
    // Where its caller asked from, not where the house answers.
    for event in events.iter().filter(|e| e["api"]["operation"] == "read") {
        assert_eq!(event["src_endpoint"], json!({ "ip": "127.0.0.1" }));
    }
    let address = |e: &Value| e["src_endpoint"]["ip"].as_str().map(str::to_owned);
    for address in events.iter().filter_map(address) {
        assert!(address.parse::<std::net::IpAddr>().is_ok(), "{address}");
    }
    let Some(python) = outside::client("python/bin/python") else {
        return;
    };
    let imports = "import ocsf_json_schema, jsonschema";
    let has = Command::new(&python).args(["-c", imports]).output();
    if !has.is_ok_and(|o| o.status.success()) {
        outside::skipped("Python lacks ocsf-json-schema; `cargo xtask test` brings it");
        return;
    }
    let whole = folder.join("whole.jsonl");
    fs::write(&whole, text).unwrap();
    let judge = format!("{}/clients/ocsf_judge.py", env!("CARGO_MANIFEST_DIR"));
    let judged = Command::new(&python)
        .arg(judge)
        .arg(&whole)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&judged.stderr);
    assert!(judged.status.success(), "{errors}");
    let counts: Value = serde_json::from_slice(&judged.stdout).unwrap();
    for class in ["6003", "3002", "3004"] {
        assert!(counts[class].as_u64() > Some(0), "{counts}");
    }
}
