//! The throw-away house of `insula demo`: sample clinics with synthetic people.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use fhir::definitions::{FhirVersion, Model};
use serde_json::{Value, json};

use crate::admin_client::{AdminClient, tenant_path};
use crate::commands::import::{bar, totals};
use crate::import::{Document, Feed, Load, Origin, Plan, Summary, WayIn, load};

pub mod folder;
pub mod population;
pub mod tour;

use population::{CLINICS, Clinic, Population, Recipe};

/// A clinic that was made and filled.
#[derive(Debug)]
pub struct Opened {
    /// What it is.
    pub clinic: &'static Clinic,
    /// Its FHIR base.
    pub base: String,
    /// A client that may do everything there.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// Where it gets tokens.
    pub token_url: String,
    /// What was loaded.
    pub summary: Summary,
}

impl Opened {
    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "tenant": self.clinic.name,
            "display": self.clinic.display,
            "base": self.base,
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "token_url": self.token_url,
            "loaded": totals(&self.summary),
        })
    }
}

/// Makes the sample clinics and loads their people.
///
/// # Errors
/// Those of the server.
pub fn open_clinics(
    admin: &AdminClient,
    recipe: Recipe,
    rejects: &Path,
) -> anyhow::Result<Vec<Opened>> {
    CLINICS
        .iter()
        .map(|clinic| open(admin, clinic, recipe, rejects))
        .collect()
}

fn open(
    admin: &AdminClient,
    clinic: &'static Clinic,
    recipe: Recipe,
    rejects: &Path,
) -> anyhow::Result<Opened> {
    let draft = json!({ "name": clinic.name, "display": clinic.display });
    let tenant = admin.post("/tenants", &draft)?;
    let client = json!({ "name": "Demo", "scopes": ["system/*.cruds"] });
    let client = admin.post(&tenant_path(clinic.name, "/clients")?, &client)?;
    let part = |of: &Value, name: &str| -> anyhow::Result<String> {
        let text = of.get(name).and_then(Value::as_str).map(str::to_owned);
        text.with_context(|| format!("the server gave no {name}"))
    };
    let people = clinic.population(recipe);
    let progress = bar(people.len() as u64, "{prefix:26} {bar:30} {msg}");
    progress.set_prefix(clinic.display);
    let plan = Plan {
        parallel: 4,
        entries_max: 400,
        bytes_max: 1 << 20,
        rejects: rejects.to_owned(),
        progress: progress.clone(),
    };
    let way = WayIn::open(admin.clone(), clinic.name, "insula demo")?;
    let job = Load {
        way,
        model: Model::of(FhirVersion::R4),
        plan,
        journal: None,
    };
    let summary = load(job, &mut || Ok(Box::new(People::new(clinic, recipe))))?;
    progress.finish_and_clear();
    Ok(Opened {
        clinic,
        base: part(&tenant, "base")?,
        client_id: part(&client, "client_id")?,
        client_secret: part(&client, "client_secret")?,
        token_url: part(&client, "token_url")?,
        summary,
    })
}

/// A population as the input of an import.
#[derive(Debug)]
struct People {
    origin: Arc<Origin>,
    population: Population,
    line: u64,
}

impl People {
    fn new(clinic: &'static Clinic, recipe: Recipe) -> Self {
        let mut digest = [0; 32];
        for (to, from) in digest.iter_mut().zip(clinic.name.bytes()) {
            *to = from;
        }
        let origin = Arc::new(Origin {
            name: clinic.name.to_owned(),
            digest,
        });
        Self {
            origin,
            population: clinic.population(recipe),
            line: 0,
        }
    }
}

impl Feed for People {
    fn next(&mut self) -> anyhow::Result<Option<Document>> {
        self.line += 1;
        Ok(self.population.next().map(|bundle| Document {
            origin: self.origin.clone(),
            line: Some(self.line),
            text: Ok(bundle.into_bytes()),
            advance: 1,
        }))
    }
}
