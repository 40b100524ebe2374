//! What policy costs: reads, searches and creates of clients that a policy governs, turn by turn with the
//! same requests of a client that has everything by its scopes.
//!
//! The clinic has two hundred facilities. The first manages a fifth of the patients, the second one in two
//! hundred. The policy is the ready one for facilities with so many further grants that it has fifty.
//! One client has a role at one facility; another has it at all of them, and every further grant too.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::Setting;
use super::interactions::median_answer;
use crate::data::{self, Size};
use crate::floor::Floor;
use crate::house::House;
use crate::http::{Base, Connection};
use crate::load::{self, Mix, Sample, Shape};
use crate::table::{Row, Target};

const FACILITIES: usize = 200;
const GRANTS: usize = 50;
/// Microseconds that authentication, policy and audit may take of a read, together.
const READ_TARGET: f64 = 25.0;
/// How much more a search may cost where the facility holds much, and where it holds little.
const LARGE_TARGET: f64 = 1.3;
const SMALL_TARGET: f64 = 3.0;
/// Different requests of one mix.
const DIFFERENT: usize = 4_000;
const TENANT: &str = "governed";

/// The facility that manages a patient.
fn facility(patient: usize) -> usize {
    match patient {
        n if n.is_multiple_of(5) => 0,
        n if n % FACILITIES == 1 => 1,
        n => 2 + n % (FACILITIES - 2),
    }
}

struct Clinic {
    house: House,
    /// Of a client that has everything by its scopes.
    all: Base,
    size: Size,
}

impl Clinic {
    async fn fill(setting: &Setting) -> anyhow::Result<Self> {
        let house = setting.house(TENANT).await?;
        let mut connection = Connection::open(house.authority()).await?;
        house.create_tenant(&mut connection, TENANT).await?;
        let all = house.enter(TENANT).await?;
        let size = setting.by_length(
            Size {
                patients: 1_000,
                observations: 10_000,
            },
            Size {
                patients: 2_000,
                observations: 40_000,
            },
            Size {
                patients: 10_000,
                observations: 200_000,
            },
        );
        let organizations = (0..FACILITIES).map(|n| {
            let url = format!("Organization/f-{n}");
            let text = json!({ "resourceType": "Organization", "id": format!("f-{n}"),
                "name": format!("Facility {n}") });
            (url, text.to_string())
        });
        let resources = data::resources(size).enumerate().map(|(n, (url, text))| {
            let at = format!(
                r#""active":true,"managingOrganization":{{"reference":"Organization/f-{}"}}"#,
                facility(n)
            );
            (url, text.replacen(r#""active":true"#, &at, 1))
        });
        let everything: Vec<_> = organizations.chain(resources).collect();
        for bundle in data::transactions(&everything, 200) {
            let request = all.request("POST", "", Some(bundle.as_bytes()));
            let answer = connection.exchange(&request).await?;
            ensure!(answer.status == 200, "loading failed: {}", answer.status);
        }
        let clinic = Self { house, all, size };
        clinic.govern().await?;
        Ok(clinic)
    }

    /// Puts the ready policy for facilities into force, with further grants.
    async fn govern(&self) -> anyhow::Result<()> {
        let path = format!("/admin/v1/tenants/{TENANT}/policy");
        let draft = json!({ "preset": "own-facility", "reason": "bench" });
        self.house.admin("POST", &path, Some(draft)).await?;
        let mut policy = self.house.admin("GET", &path, None).await?;
        let mut document = policy
            .get_mut("document")
            .map(Value::take)
            .context("no document")?;
        let grants = document.get_mut("grants").and_then(Value::as_array_mut);
        let grants = grants.context("no grants")?;
        for n in grants.len()..GRANTS {
            grants.push(
                json!({ "name": format!("more {n}"), "who": { "roles": [format!("role-{n}")] },
                "actions": "rs", "types": ["Patient", "Observation"],
                "within": "Patient?organization=%user.facilities" }),
            );
        }
        let draft = json!({ "document": document, "reason": "bench" });
        self.house.admin("POST", &path, Some(draft)).await?;
        Ok(())
    }

    /// A client with the role of those who treat at these facilities.
    async fn clinician(&self, at: std::ops::Range<usize>) -> anyhow::Result<Base> {
        let roles: Vec<String> = at.map(|n| role_at("clinician", n)).collect();
        self.house.enter_as(TENANT, &roles).await
    }

    /// A client with that role at all facilities, and with the roles of all further grants.
    async fn everywhere(&self) -> anyhow::Result<Base> {
        let treats = (0..FACILITIES).map(|n| role_at("clinician", n));
        let more = (0..GRANTS).map(|n| role_at(&format!("role-{n}"), n));
        let roles: Vec<String> = treats.chain(more).collect();
        self.house.enter_as(TENANT, &roles).await
    }

    /// Reads of observations of the patients of a facility.
    fn reads(&self, base: &Base, at: usize) -> Mix {
        let requests = (0..self.size.observations)
            .filter(|n| self.is_of(at, &data::observation(*n, self.size.patients, true)))
            .take(DIFFERENT)
            .map(|n| base.request("GET", &format!("/Observation/o-{n}"), None));
        mix(base, requests.collect(), 200)
    }

    /// Creates of observations of the patients of a facility.
    fn creates(&self, base: &Base, at: usize) -> Mix {
        let requests = (1_000_000..)
            .map(|n| data::observation(n, self.size.patients, false))
            .filter(|body| self.is_of(at, body))
            .take(DIFFERENT)
            .map(|body| base.request("POST", "/Observation", Some(body.as_bytes())));
        mix(base, requests.collect(), 201)
    }

    /// Whether an observation is of a patient of a facility.
    fn is_of(&self, at: usize, observation: &str) -> bool {
        let patient = observation.split("Patient/p-").nth(1);
        let patient = patient.and_then(|rest| rest.split('"').next());
        let patient = patient.and_then(|number| number.parse().ok());
        patient.is_some_and(|patient: usize| facility(patient) == at)
    }
}

fn role_at(role: &str, facility: usize) -> String {
    format!("{role}@Organization/f-{facility}")
}

fn mix(base: &Base, requests: Vec<Vec<u8>>, status: u16) -> Mix {
    Mix {
        base: base.clone(),
        requests: Arc::new(requests),
        status,
    }
}

fn searches(base: &Base) -> Mix {
    let all = data::token_searches();
    let requests = all.iter().map(|path| base.request("GET", path, None));
    mix(base, requests.collect(), 200)
}

/// All rows.
pub(crate) async fn rows(setting: &Setting) -> anyhow::Result<Vec<Row>> {
    let clinic = Clinic::fill(setting).await?;
    let shape = Shape {
        connections: 64,
        warm_up: Duration::from_millis(500),
        measured: Duration::from_millis(setting.by_length(1_000, 3_000, 5_000)),
    };
    let rounds = setting.by_length(3, 5, 7);
    let (large, small, wide) = (
        clinic.clinician(0..1).await?,
        clinic.clinician(1..2).await?,
        clinic.everywhere().await?,
    );
    let mut rows = Vec::new();
    for (name, base) in [("1 facility", &large), ("200 facilities, 50 grants", &wide)] {
        let ours = clinic.reads(base, 0);
        let captured = median_answer(&ours).await?;
        let floor = Floor::start(&captured, &ours.base, &setting.folder)?;
        let bare = Mix {
            base: floor.base.clone(),
            ..ours.clone()
        };
        let all = clinic.reads(&clinic.all, 0);
        let [governed, scopes, bare] = turns(
            [
                (&ours, clinic.house.id()),
                (&all, clinic.house.id()),
                (&bare, floor.id()),
            ],
            shape,
            rounds,
        )
        .await?;
        let above = governed.cpu_us() - bare.cpu_us();
        let row = Row::new(
            &format!("policy: a read, {name}"),
            above,
            "µs",
            Target::AtMost(READ_TARGET),
        );
        rows.push(finished(setting, row.with(&governed).note(format!(
            "processor time above that of a bare handler, reading the row included; {GRANTS} grants; \
             the same reads by scopes alone {:.1} CPU µs each, the bare handler {:.1}",
            scopes.cpu_us(),
            bare.cpu_us(),
        ))));
    }
    for (name, base, target) in [
        ("200 facilities, 50 grants", &wide, LARGE_TARGET),
        ("a fifth of the rows", &large, LARGE_TARGET),
        ("one row in 200", &small, SMALL_TARGET),
    ] {
        let (ours, all) = (searches(base), searches(&clinic.all));
        let id = clinic.house.id();
        let [governed, whole] = turns([(&ours, id), (&all, id)], shape, rounds).await?;
        let ratio = governed.cpu_us() / whole.cpu_us().max(1e-9);
        let row = Row::new(
            &format!("policy: a search, {name}"),
            ratio,
            "×",
            Target::AtMost(target),
        );
        rows.push(finished(setting, row.with(&governed).note(format!(
            "processor time of a page of at most 20 within the facility, as a multiple of that of the same search \
             without one: {:.1} CPU µs each",
            whole.cpu_us(),
        ))));
    }
    rows.push(create(setting, &clinic, (&large, shape, rounds)).await?);
    clinic.house.stop()?;
    Ok(rows)
}

/// Creates under policy, against those of a client without one.
async fn create(
    setting: &Setting,
    clinic: &Clinic,
    (base, shape, rounds): (&Base, Shape, usize),
) -> anyhow::Result<Row> {
    let (ours, all) = (clinic.creates(base, 0), clinic.creates(&clinic.all, 0));
    let id = clinic.house.id();
    let [governed, whole] = turns([(&ours, id), (&all, id)], shape, rounds).await?;
    let ratio = governed.cpu_us() / whole.cpu_us().max(1e-9);
    let row = Row::new("policy: a create", ratio, "×", Target::None);
    Ok(finished(
        setting,
        row.with(&governed).note(format!(
            "processor time of a create within the facility, as a multiple of that of the same create without \
             one: {:.1} CPU µs each; p50 without one {} µs",
            whole.cpu_us(),
            whole.quantile_us(0.5),
        )),
    ))
}

fn finished(setting: &Setting, mut row: Row) -> Row {
    row.audit = setting.audit.to_owned();
    row.concurrency = 64;
    row
}

/// Runs mixes turn by turn.
async fn turns<const N: usize>(
    mixes: [(&Mix, u32); N],
    shape: Shape,
    rounds: usize,
) -> anyhow::Result<[Sample; N]> {
    let mut samples: [Sample; N] = std::array::from_fn(|_| Sample::default());
    for _ in 0..rounds {
        for (sample, (mix, id)) in samples.iter_mut().zip(&mixes) {
            sample.join(load::closed(mix, shape, Some(*id)).await?);
        }
    }
    Ok(samples)
}
