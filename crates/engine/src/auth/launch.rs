//! Launches from within a record (SMART App Launch 2.2, "EHR Launch"): a patient, an encounter, a facility
//! and whatever else is open, handed to a program; and program links, of which some need no launch.

use access::{ClientRecord, PersonId};
use base::Code;
use serde_json::{Map, Value, json};

use super::authorize::{Launch, LaunchDraft, LaunchMade, invalid};
use super::sealed;
use crate::answer::Answer;
use crate::failure::Failure;
use crate::form;
use crate::interaction::Unless;
use crate::session::Session;
use crate::vendors::{Values, filled};

impl Session {
    /// Makes the context of a launch from within a record, for a program or a program link, with a
    /// patient, an encounter of theirs, a facility and others that the caller may read. What a person makes is
    /// for themselves; a program says for whom it is.
    ///
    /// # Errors
    /// `client-unknown`, `link-unknown`, `vendor-disabled`, `vendor-ended`, `request-invalid`; those of
    /// reading what is in context.
    pub async fn make_launch(&self, draft: LaunchDraft) -> Result<LaunchMade, Failure> {
        let context = self.in_context(&draft).await?;
        let link = match (&draft.link, &draft.client_id) {
            (Some(link), None) => Some(self.link(link).await?),
            (None, Some(_)) => None,
            _ => return Err(invalid("one of client_id and link is given")),
        };
        let client = match link.as_ref().map_or(&draft.client_id, |link| &link.client) {
            Some(id) => Some(self.program(id).await?),
            None => None,
        };
        let vendor = client.as_ref().and_then(|c| c.vendor.as_ref());
        self.gate().vendor_runs(vendor, self.request.at).await?;
        let seconds = self.limits().launch_seconds_max;
        let launch = match &client {
            Some(client) => Some(self.sealed_launch(client, &draft, context, seconds).await?),
            None => None,
        };
        let iss = self.links().fhir();
        let url = match (&link, &client) {
            (Some(link), _) => {
                Some(self.address(&link.template, &iss, launch.as_deref(), &draft)?)
            }
            (None, Some(client)) => launched(client, &iss, launch.as_deref().unwrap_or_default()),
            (None, None) => None,
        };
        let to = match (&link, &client) {
            (Some(link), _) => format!("link {}", link.id),
            (None, client) => {
                let id = client.as_ref().map_or("", |c| c.id.as_str());
                format!("client {id}")
            }
        };
        let actor = Some(self.principal().actor());
        let deed = self
            .gate()
            .signing(self.request, actor, format!("launch {to}"))?;
        self.store.signing(deed).await?;
        Ok(LaunchMade {
            expires_in: launch.is_some().then_some(seconds),
            launch,
            iss,
            url,
        })
    }

    /// Whether the caller may read what is in context; the part of it that programs are told beside
    /// patient and encounter.
    async fn in_context(&self, draft: &LaunchDraft) -> Result<Map<String, Value>, Failure> {
        let unless = Unless::default();
        if let Some(patient) = &draft.patient {
            self.read("Patient", patient, &unless).await?;
        }
        if let Some(encounter) = &draft.encounter {
            let answer = self.read("Encounter", encounter, &unless).await?;
            self.must_be_of(&answer, draft.patient.as_deref())?;
        }
        let mut others = Vec::new();
        for (reference, facility) in draft
            .facility
            .iter()
            .map(|f| (f, true))
            .chain(draft.fhir_context.iter().map(|o| (o, false)))
        {
            let wanted = "fhir_context has references of the form Type/id, facility Organization/id or Location/id";
            let (of, id) = reference.split_once('/').ok_or_else(|| invalid(wanted))?;
            if facility && !matches!(of, "Organization" | "Location") {
                return Err(invalid(wanted));
            }
            self.read(of, id, &unless).await?;
            others.push(json!({ "reference": reference, "type": of }));
        }
        let mut context = Map::new();
        if !others.is_empty() {
            context.insert("fhirContext".into(), json!(others));
        }
        if let Some(intent) = &draft.intent {
            crate::clients::printable(intent, 200, "intent has 1 to 200 characters")?;
            context.insert("intent".into(), json!(intent));
        }
        Ok(context)
    }

    /// An encounter in context is the patient's.
    fn must_be_of(&self, encounter: &Answer, patient: Option<&str>) -> Result<(), Failure> {
        let (Answer::Found(encounter), Some(patient)) = (encounter, patient) else {
            return Ok(());
        };
        let encounter: Value = serde_json::from_slice(&encounter.get().body).unwrap_or_default();
        let subject = encounter
            .pointer("/subject/reference")
            .and_then(Value::as_str);
        let base = format!("{}/", self.links().fhir());
        let own = subject.map(|s| s.strip_prefix(&base).unwrap_or(s));
        let own = own.and_then(|s| s.strip_prefix("Patient/"));
        let own = own.map(|s| s.split_once("/_history/").map_or(s, |(id, _)| id));
        match own {
            Some(id) if id == patient => Ok(()),
            _ => Err(invalid("the encounter is not of this patient")),
        }
    }

    /// For whom a launch is, by id: the person who makes it, or whom a program names. Of a name that nobody has it
    /// is for nobody, and whoever makes it is not told.
    async fn launched_for(&self, draft: &LaunchDraft) -> Result<Option<String>, Failure> {
        let own = self.principal().person().map(|(id, _)| id.as_str());
        let Some(named) = draft.person.as_deref() else {
            return Ok(own.map(str::to_owned));
        };
        crate::clients::printable(named, 200, "person has 1 to 200 characters")?;
        let found = match PersonId::new(named) {
            Some(id) => self.store.person(&id).await?,
            None => None,
        };
        let found = match (found, super::normal_login(named)) {
            (None, Some(login)) => self.store.person_of_login(&login).await?,
            (found, _) => found,
        };
        let id = found.map(|person| person.record.id.as_str().to_owned());
        if own.is_some() && own != id.as_deref() {
            return Err(invalid("a launch that a person makes is for themselves"));
        }
        Ok(Some(id.unwrap_or_default()))
    }

    async fn sealed_launch(
        &self,
        client: &ClientRecord,
        draft: &LaunchDraft,
        context: Map<String, Value>,
        seconds: u64,
    ) -> Result<String, Failure> {
        let launch = Launch {
            once: self.house().0.rng.bytes(),
            client: client.id.as_str().to_owned(),
            person: self.launched_for(draft).await?,
            patient: draft.patient.clone(),
            encounter: draft.encounter.clone(),
            context,
        };
        let life = i64::try_from(seconds).unwrap_or(i64::MAX);
        let until = self.request.at.plus_secs(life);
        let key = self.store.people_key().await?;
        sealed::seal(&key, "launch", &launch, until, &*self.house().0.rng)
    }

    fn address(
        &self,
        template: &str,
        iss: &str,
        launch: Option<&str>,
        draft: &LaunchDraft,
    ) -> Result<String, Failure> {
        let user = self.principal().fhir_user();
        let user = user.map(|(of, id)| format!("{}/{}", self.model().type_name(of), id.as_str()));
        let values = Values {
            iss,
            launch: launch.unwrap_or_default(),
            patient: draft.patient.as_deref().unwrap_or_default(),
            encounter: draft.encounter.as_deref().unwrap_or_default(),
            facility: draft.facility.as_deref().unwrap_or_default(),
            user: user.as_deref().unwrap_or_default(),
            tenant: self.tenant().name().as_str(),
        };
        let url = filled(template, &values)?;
        if url.len() > URL_BYTES_MAX {
            return Err(Failure::new(
                Code::RequestInvalid,
                "the address is too long",
            ));
        }
        Ok(url)
    }
}

/// Bytes of an address that browsers are sent to.
const URL_BYTES_MAX: usize = 8_000;

/// The address of a program that has a `launch_url`.
fn launched(client: &ClientRecord, iss: &str, launch: &str) -> Option<String> {
    let url = client.program.as_ref()?.launch_url.as_ref()?;
    let mark = if url.contains('?') { '&' } else { '?' };
    Some(format!(
        "{url}{mark}iss={}&launch={launch}",
        form::encode(iss)
    ))
}
