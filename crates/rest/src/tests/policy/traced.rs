//! Which statements a request has run, whatever road it takes: whoever asks for what they do not see, and for
//! what is not there, has the same ones run and is told the same.
#![expect(
    unsafe_code,
    reason = "the engine tells of statements by its C interface"
)]

use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, Once, PoisonError};

use rusqlite::{auto_extension, ffi};
use serde_json::{Value, json};

use super::super::world::World;
use super::{fill, govern, northern, staff};

type Ran = Mutex<Vec<String>>;

/// What ran below folders that are watched.
static WATCHED: LazyLock<Mutex<HashMap<PathBuf, &'static Ran>>> = LazyLock::new(Mutex::default);

/// From now on, what databases of this folder run is taken note of; those that are open already are not.
fn watch(dir: &Path) -> &'static Ran {
    static ONCE: Once = Once::new();
    // SAFETY: `opened` opens and closes nothing, and leaves the list of such routines alone.
    ONCE.call_once(|| unsafe { auto_extension::register_auto_extension(opened).unwrap() });
    let ran: &'static Ran = Box::leak(Box::default());
    let mut watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
    watched.insert(dir.to_owned(), ran);
    ran
}

unsafe extern "C" fn opened(
    db: *mut ffi::sqlite3,
    _: *mut *mut c_char,
    _: *const ffi::sqlite3_api_routines,
) -> c_int {
    // SAFETY: the connection is being opened; the name is of it, or none.
    let name = unsafe {
        let name = ffi::sqlite3_db_filename(db, c"main".as_ptr());
        (!name.is_null()).then(|| CStr::from_ptr(name).to_string_lossy().into_owned())
    };
    let Some(name) = name else {
        return ffi::SQLITE_OK;
    };
    let watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
    // Only databases of tenants.
    let of = |dir: &Path| Path::new(&name).starts_with(dir) && name.ends_with("data.db");
    if let Some((_, ran)) = watched.iter().find(|(dir, _)| of(dir)) {
        let ran: *const Ran = *ran;
        // SAFETY: what is given to the connection is never freed, and shared between threads by a lock.
        unsafe {
            let mask = ffi::SQLITE_TRACE_STMT;
            ffi::sqlite3_trace_v2(db, mask, Some(begun), ran.cast_mut().cast());
        }
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn begun(
    _: c_uint,
    ran: *mut c_void,
    _: *mut c_void,
    text: *mut c_void,
) -> c_int {
    // SAFETY: `ran` is what `opened` gave; `text` is a C string for as long as this call lasts.
    let (ran, text) = unsafe { (&*ran.cast::<Ran>(), CStr::from_ptr(text.cast::<c_char>())) };
    let mut ran = ran.lock().unwrap_or_else(PoisonError::into_inner);
    ran.push(text.to_string_lossy().into_owned());
    0
}

/// Without what begins and ends transactions, which follows an answer, and what is done in the background.
fn of_requests(ran: &Ran) -> Vec<String> {
    const AROUND: [&str; 8] = [
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "SAVEPOINT",
        "RELEASE",
        "PRAGMA",
        "DELETE FROM ix_",
        "INSERT INTO actor ",
    ];
    const BESIDE: [&str; 5] = [
        "FROM scrub",
        "count(*) FROM quarantine",
        "SELECT coalesce(max(seq), 0) FROM change",
        // Another connection is opened, the index of the trail looks whether it is behind.
        "sqlite_schema",
        "SELECT coalesce(max(vid), 0) FROM version",
    ];
    let ran = std::mem::take(&mut *ran.lock().unwrap_or_else(PoisonError::into_inner));
    let around = |text: &String| {
        AROUND
            .iter()
            .any(|word| text.trim_start().starts_with(word))
            || BESIDE.iter().any(|part| text.contains(part))
    };
    ran.into_iter().filter(|text| !around(text)).collect()
}

/// A clinic of which every statement is known.
fn clinic() -> (World, &'static Ran, String) {
    let world = World::with(|limits| limits.scrub_interval_seconds = 0, |_| {});
    let ran = watch(&world.dir);
    world.tenant("lakeside");
    let all = world.client("lakeside", "system/*.cruds");
    fill(&world, &all);
    (world, ran, all)
}

/// Roads to what `{p}` (a patient), `{b}` (a finding) or `{l}` (a list) names.
const ROADS: &[&str] = &[
    "GET Patient/{p}",
    "GET Patient/{p}/_history",
    "GET Patient/{p}/_history/1",
    "GET Patient/{p}/Observation",
    "GET Patient/{p}/$everything",
    "GET Observation/{b}",
    "GET Patient?_id={p}",
    "GET Patient?_id={p}&_total=accurate&_revinclude=*",
    "GET Patient?_filter=_id%20eq%20{p}",
    "GET Patient?_has:Observation:patient:_id={b}",
    "GET Observation?patient={p}",
    "GET Observation?patient={p}&_include=Observation:subject",
    "GET Observation?patient._id={p}",
    "GET Observation?_id={b}&_include=*",
    "GET Observation/$lastn?patient=Patient/{p}",
    "GET Patient?_list={l}",
    "GET Patient?_list={l}&_total=accurate&_sort=birthdate",
    "GET List/{l}",
    "GET $graphql?query=%7BPatient(id:%22{p}%22)%7Bid%20birthDate%7D%7D",
    "GET $graphql?query=%7BPatientList(_id:%22{p}%22)%7Bid%7D%7D",
    "GET $graphql?query=%7BObservationList(patient:%22{p}%22)%7Bid%20subject%7Bresource%7B...on%20Patient%7Bid%7D%7D%7D%7D%7D",
    "GET $graphql?query=%7BObservation(id:%22{b}%22)%7Bid%20status%7D%7D",
    "GET Patient/{p}/$graphql?query=%7Bid%7D",
    "PUT Patient/{p}",
    "PUT Patient?_id={p}",
    "PATCH Patient/{p}",
    "PATCH Patient?_id={p}",
    "DELETE Patient/{p}",
    "PUT Patient/{p} if",
    "DELETE Observation/{b} if",
    "DELETE Patient?_id={p}",
    "DELETE Observation?patient={p}",
    "POST Patient _id={p}",
    "POST Patient organization=Organization/o-south&_id={p}",
    "POST Observation patient={p}",
    "POST Observation _id={b}",
    "POST bundle",
];

/// A path, and the header of a road that ends with `if`.
fn conditional(path: &str) -> (&str, Option<(&'static str, &'static str)>) {
    match path.strip_suffix(" if") {
        Some(path) => (path, Some(("if-match", "W/\"1\""))),
        None => (path, None),
    }
}

/// One request down a road; what was told, without the names. What is made would be out of reach: nothing is.
fn go(world: &World, who: &str, road: &str, end: &str) -> (u16, String) {
    let named = |text: &str| {
        let text = text.replace("{p}", &format!("p-{end}"));
        text.replace("{b}", &format!("b-{end}"))
            .replace("{l}", &format!("l-{end}"))
    };
    let own = |of: &str, at: Option<&str>| {
        let mut body = match of {
            "Patient" => json!({ "resourceType": of, "active": true,
                "managingOrganization": { "reference": "Organization/o-south" } }),
            _ => json!({ "resourceType": of, "status": "final", "code": { "text": "x" },
                "subject": { "reference": "Patient/p-south" } }),
        };
        if let Some(id) = at {
            body["id"] = json!(id);
        }
        body
    };
    let (method, path) = road.split_once(' ').unwrap();
    let answer = match (method, path) {
        ("POST", "bundle") => {
            let request = |method: &str, url: &str| json!({ "request": { "method": method, "url": named(url) } });
            let bundle = json!({ "resourceType": "Bundle", "type": "batch", "entry": [
                request("GET", "Patient/{p}"), request("GET", "Observation?patient={p}"),
                request("GET", "Patient?_list={l}") ] });
            world.fhir(who, "POST ", bundle.to_string())
        }
        ("POST", path) => {
            let (of, condition) = path.split_once(' ').unwrap();
            let probe = named(condition);
            let more = [
                ("if-none-exist", probe.as_str()),
                ("prefer", "return=minimal"),
            ];
            world.fhir_with(who, &format!("POST {of}"), &more, own(of, None).to_string())
        }
        ("PUT", path) => {
            let (path, condition) = conditional(path);
            let path = named(path);
            let id = path.strip_prefix("Patient/").map(str::to_owned);
            let body = own("Patient", id.as_deref());
            let mut more = vec![("prefer", "return=minimal")];
            more.extend(condition);
            world.fhir_with(who, &format!("PUT {path}"), &more, body.to_string())
        }
        ("PATCH", path) => {
            let flip = json!([{ "op": "replace", "path": "/active", "value": false }]);
            let kind = [("content-type", "application/json-patch+json")];
            world.fhir_with(
                who,
                &format!("PATCH {}", named(path)),
                &kind,
                flip.to_string(),
            )
        }
        (_, path) => {
            let (path, condition) = conditional(path);
            let line = format!("{method} {}", named(path));
            world.fhir_with(who, &line, condition.as_slice(), "".to_owned())
        }
    };
    let text = String::from_utf8_lossy(&answer.body).replace(end, "{end}");
    (answer.code, plain(&text))
}

/// An answer without what every answer has anew.
fn plain(text: &str) -> String {
    let Ok(mut json) = serde_json::from_str::<Value>(text) else {
        return text.to_owned();
    };
    fn strip(of: &mut Value) {
        match of {
            Value::Object(all) => {
                for anew in [
                    "id",
                    "lastUpdated",
                    "timestamp",
                    "versionId",
                    "fullUrl",
                    "etag",
                ] {
                    all.remove(anew);
                }
                all.values_mut().for_each(strip);
            }
            Value::Array(all) => all.iter_mut().for_each(strip),
            _ => {}
        }
    }
    strip(&mut json);
    json.to_string()
}

fn every_road_is_the_same(world: &World, ran: &Ran, who: &str) {
    for road in ROADS {
        // Once it is remembered what is reached of what there is.
        for end in ["south", "nouth", "north"] {
            if end != "north" || road.starts_with("GET") {
                go(world, who, road, end);
            }
        }
        for round in 0..2 {
            of_requests(ran);
            // What a batch asks is asked at the same time.
            let order = |mut of: Vec<String>| {
                if road.ends_with("bundle") {
                    of.sort();
                }
                of
            };
            let there = go(world, who, road, "south");
            let of_there = order(of_requests(ran));
            let absent = go(world, who, road, "nouth");
            let of_absent = order(of_requests(ran));
            assert_eq!(there, absent, "{road}");
            let pairs = of_there.iter().zip(&of_absent);
            let first = pairs.clone().position(|(a, b)| a != b);
            let at = first.unwrap_or(of_there.len().min(of_absent.len()));
            assert_eq!(
                (of_there.get(at), of_there.len()),
                (of_absent.get(at), of_absent.len()),
                "{road}, round {round}: statement {at}"
            );
        }
    }
}

#[test]
fn absent_and_invisible_run_the_same_statements_on_every_road() {
    let (world, ran, _) = clinic();
    let who = northern(&world, "clinician");
    of_requests(ran);
    world.fhir(&who, "GET Patient/p-north", "").status(200);
    world
        .fhir(&who, "GET Patient?_list=l-north", "")
        .status(200)
        .at("/total", 1);
    assert!(!of_requests(ran).is_empty(), "nothing is taken note of");
    every_road_is_the_same(&world, ran, &who);
}

#[test]
fn so_they_do_for_a_patient_and_their_own_chart() {
    let (world, ran, _) = clinic();
    let who = super::roads::own_chart(&world);
    every_road_is_the_same(&world, ran, &who);
}

#[test]
fn so_they_do_by_several_ways_with_hidden_elements_and_where_resources_say_it_themselves() {
    let within = "Patient?organization=Organization/o-north";
    let grant = |actions: &str, types: &[&str], more: &[(&str, &str)]| {
        let name = format!("{actions} {types:?} {more:?}");
        let mut grant = json!({ "name": name, "who": { "roles": ["clinician"] },
            "actions": actions, "types": types });
        for (member, said) in more {
            grant[*member] = match *member {
                "hide" => json!([said]),
                _ => json!(said),
            };
        }
        grant
    };
    let places = grant("rs", &["Organization"], &[]);
    let but = format!("{within}&gender:not=unknown");
    let east = ("within", "Patient?organization=Organization/o-east");
    for grants in [
        json!([
            grant(
                "rs",
                &["*"],
                &[("within", within), ("hide", "Patient.telecom")]
            ),
            grant("cud", &["*"], &[("within", &but)]),
            grant("cruds", &["Observation", "Patient"], &[east]),
            places,
        ]),
        json!([
            grant(
                "cruds",
                &["Patient"],
                &[("criteria", "organization=Organization/o-north")]
            ),
            grant(
                "cruds",
                &["Observation"],
                &[("criteria", "patient=Patient/p-north,Patient/p-other")]
            ),
            grant("rs", &["List"], &[("criteria", "subject=Patient/p-north")]),
            places,
        ]),
    ] {
        let (world, ran, _) = clinic();
        govern(
            &world,
            &json!({ "document": { "grants": grants }, "reason": "test" }),
        );
        let who = staff(&world, &["clinician"], "system/*.cruds");
        every_road_is_the_same(&world, ran, &who);
    }
}

#[test]
fn a_list_tells_nothing_of_members_out_of_reach() {
    let (world, ran, all) = clinic();
    let who = northern(&world, "clinician");
    // Two lists of the north: of somebody who is out of reach, and of nobody who is there.
    for (id, of) in [("l-one", "p-south"), ("l-two", "p-nouth")] {
        let list = json!({ "resourceType": "List", "id": id, "status": "current", "mode": "working",
            "subject": { "reference": "Patient/p-north" },
            "entry": [{ "item": { "reference": format!("Patient/{of}") } }] });
        world
            .fhir(&all, &format!("PUT List/{id}"), list.to_string())
            .status(201);
    }
    let ask = |list: &str| {
        let told = world.fhir(
            &who,
            &format!("GET Patient?_list={list}&_total=accurate"),
            "",
        );
        told.status(200).at("/total", 0);
        of_requests(ran)
    };
    for list in ["l-one", "l-two"] {
        ask(list);
    }
    assert_eq!(ask("l-one"), ask("l-two"));
}
