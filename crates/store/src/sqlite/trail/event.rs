//! Records and changes as AuditEvents: who, what, whom it touched.

use std::sync::Arc;

use access::{ActionName, ClientId, PersonId};
use base::{Code, Kind, Micros, RequestId, ResourceId, Seq};
use fhir::audit_event::{Agent, AuditEvent, Coding, Entity, Lifecycle, Name, Outcome};
use fhir::definitions::TypeId;
use rusqlite::{Connection, OptionalExtension};

use super::patients::Patients;
use super::place::EventId;
use super::{Changed, members, shown};
use crate::audit::{About, Told};
use crate::sqlite::fault::Doing;
use crate::sqlite::seal::method_of;
use crate::sqlite::tenant::OpenTenant;
use crate::{AuditLine, Method, Result};

/// Makes events of one tenant, on one snapshot.
pub(super) struct Events<'a> {
    pub(super) tenant: &'a Arc<OpenTenant>,
    pub(super) db: &'a Connection,
    patients: Patients<'a>,
}

/// A change as its row says.
pub(super) struct ChangeRow {
    pub(super) seq: Seq,
    pub(super) at: Micros,
    request: RequestId,
    actor: String,
    members: u64,
    about: About,
}

/// What is common to both.
struct Telling<'t> {
    id: EventId,
    at: Micros,
    request: RequestId,
    actor: &'t str,
    about: &'t About,
}

/// What happened, in the words of the standard.
struct What {
    category: Coding,
    codes: Vec<Coding>,
    action: char,
    /// The asker's program sends content; else it takes it.
    sends: bool,
    /// What the one who asks does with content: they make it, delete it, or receive it.
    does: Does,
}

/// What somebody does with content, as patterns tell apart who takes part in what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    Receive,
    Write,
    Delete,
}

impl What {
    fn rest(interaction: &str, action: char) -> Self {
        Self {
            category: Coding::rest(),
            codes: vec![Coding::interaction(interaction)],
            action,
            sends: action != 'R',
            does: match (interaction, action) {
                (_, 'D') => Does::Delete,
                (_, 'C' | 'U') | ("transaction", _) => Does::Write,
                _ => Does::Receive,
            },
        }
    }

    /// An update that made the resource is both.
    fn made_by_update() -> Self {
        let mut what = Self::rest("update", 'C');
        what.codes.push(Coding::interaction("create"));
        what
    }

    /// Something that is no interaction with resources, told in words.
    fn other(category: (&str, &str), code: (&str, &str), words: &str, action: char) -> Self {
        // Ids and other names come after the words; what was changed, and why, after a colon.
        let said = words.split_once(": ").map_or(words, |(said, _)| said);
        let plain = |w: &&str| {
            matches!(*w, "dry-run" | "break-glass") || w.bytes().all(|b| b.is_ascii_lowercase())
        };
        let own = said.split(' ').take_while(plain);
        let slug: Vec<&str> = own.take(3).collect();
        Self {
            category: Coding::dicom(category.0, category.1),
            codes: vec![
                Coding::dicom(code.0, code.1),
                Coding::new("urn:insula:trail", &slug.join("-"), words),
            ],
            action,
            sends: true,
            does: Does::Receive,
        }
    }
}

impl<'a> Events<'a> {
    pub(super) fn new(tenant: &'a Arc<OpenTenant>, db: &'a Connection) -> Self {
        Self {
            tenant,
            db,
            patients: Patients::new(tenant, db),
        }
    }

    /// The event of a record.
    pub(super) fn access(&mut self, number: u64, told: &Told) -> Result<AuditEvent> {
        let mut names = shown(self.tenant, self.db, told, usize::MAX)?;
        let type_name = told.type_id.map(|t| self.tenant.model.type_name(t));
        let instance = match (type_name, &told.word) {
            (Some(of), Some(word)) if ResourceId::new(word).is_ok() => Some(format!("{of}/{word}")),
            _ => None,
        };
        let history = told.action == Some(ActionName::History);
        let mut touched = names.clone();
        if let Some(name) = instance.filter(|_| names.is_empty() && !is_word(told)) {
            let then = self.patients.version_then(&name, told.request.at);
            touched.extend(then.clone());
            names.push(match told.outcome {
                "given" => then.unwrap_or(name),
                _ => name,
            });
        }
        for name in named(told) {
            touched.extend(self.patients.version_then(&name, told.request.at));
        }
        let what = what_of(told, type_name, history);
        let is_rest = what.category == Coding::rest();
        let telling = Telling {
            id: EventId::Access(number),
            at: told.request.at,
            request: told.request.id,
            actor: &told.actor,
            about: &told.about,
        };
        let mut event = self.begin(&telling, what)?;
        (event.outcome, event.outcome_text) = outcome_of(told);
        for name in names.into_iter().take(AuditLine::SHOWN_MAX) {
            event.entities.push(Entity::Data(name, Lifecycle::Shown));
        }
        let mut patients = Vec::new();
        for name in &touched {
            patients.extend(self.patients.of(name, told.request.at)?);
        }
        touch(&mut event, patients);
        match (&told.about.query, &told.query, type_name) {
            (Some(query), ..) => event.entities.push(Entity::Query(query.clone())),
            // What was asked is not kept of it, only its digest and the type.
            (None, Some(_), Some(of)) => event.entities.push(Entity::Query(of.to_owned())),
            _ => {}
        }
        if let (false, Some(word)) = (is_rest, &told.word) {
            event.entities.push(Entity::Other(word.clone()));
        }
        Ok(event)
    }

    /// Types of charts of which an event names something that is about no patient.
    pub(super) fn about_nobody(&mut self, event: &AuditEvent) -> Result<Vec<String>> {
        let mut types: Vec<String> = Vec::new();
        for entity in &event.entities {
            let Entity::Data(name, _) = entity else {
                continue;
            };
            let of = name.split_once('/').map_or("", |(of, _)| of);
            let type_id = self.tenant.model.type_id(of);
            if types.iter().any(|known| known == of)
                || !type_id.is_some_and(|of| self.patients.are_of_charts(of))
            {
                continue;
            }
            if self.patients.of(name, Micros(i64::MAX))?.is_empty() {
                types.push(of.to_owned());
            }
        }
        Ok(types)
    }

    /// Whom versions of a resource were ever about; none where not all of them say it.
    pub(super) fn ever_about(
        &mut self,
        type_id: TypeId,
        id: &ResourceId,
    ) -> Result<Option<Vec<ResourceId>>> {
        self.patients.ever(type_id, id)
    }

    /// An event of which nothing is said but who took part.
    pub(super) fn of_actor(&self, actor: &str) -> Result<AuditEvent> {
        let telling = Telling {
            id: EventId::Access(0),
            at: Micros(0),
            request: RequestId(0),
            actor,
            about: &About::default(),
        };
        self.begin(&telling, What::rest("read", 'R'))
    }

    /// The event of a change.
    pub(super) fn change(&mut self, row: &ChangeRow) -> Result<AuditEvent> {
        let made = members(self.tenant, self.db, row.seq, usize::MAX)?;
        let what = match made.as_slice() {
            [only] if row.members == 1 => match (method_of(only.method), only.version) {
                (Some(Method::Post), _) => What::rest("create", 'C'),
                (Some(Method::Put), 1) => What::made_by_update(),
                (Some(Method::Patch), _) => What::rest("patch", 'U'),
                (Some(Method::Delete), _) => What::rest("delete", 'D'),
                _ => What::rest("update", 'U'),
            },
            _ => What::rest("transaction", 'E'),
        };
        let telling = Telling {
            id: EventId::Change(row.seq),
            at: row.at,
            request: row.request,
            actor: &row.actor,
            about: &row.about,
        };
        let mut event = self.begin(&telling, what)?;
        let (mut named, mut touched) = (0, Vec::new());
        for member in made {
            let lifecycle = match (method_of(member.method), member.version) {
                (Some(Method::Delete), _) => Lifecycle::Deleted,
                (_, 1) => Lifecycle::Made,
                _ => Lifecycle::Changed,
            };
            if named < AuditLine::SHOWN_MAX {
                named += 1;
                let name = member.name.clone();
                event.entities.push(Entity::Data(name, lifecycle));
            }
            let made = (member.name.as_str(), Some(member.vid));
            touched.extend(self.patients.of_change(made, row.at)?);
        }
        touch(&mut event, touched);
        Ok(event)
    }

    fn begin(&self, telling: &Telling<'_>, what: What) -> Result<AuditEvent> {
        let mut entities = Vec::new();
        for facility in telling.about.facilities.iter().flat_map(|f| f.split(' ')) {
            entities.push(Entity::Facility(facility.to_owned()));
        }
        entities.push(Entity::Request(telling.request.to_string()));
        Ok(AuditEvent {
            id: telling.id.to_id()?,
            recorded: telling.at.to_millis_precision(),
            agents: self.agents(telling, (what.sends, what.does)),
            category: what.category,
            codes: what.codes,
            action: what.action,
            outcome: Outcome::Success,
            outcome_text: None,
            site: self.tenant.id.name().to_string(),
            entities,
        })
    }

    fn agents(&self, telling: &Telling<'_>, (sends, does): (bool, Does)) -> Vec<Agent> {
        let source = Coding::dicom("110153", "Source Role ID");
        let destination = Coding::dicom("110152", "Destination Role ID");
        let (client_part, server_part) = match (does, sends) {
            (Does::Delete, _) => (
                Coding::dicom("110150", "Application"),
                Coding::new(PROVENANCE_PART, "custodian", "Custodian"),
            ),
            (_, true) => (source, destination),
            (_, false) => (destination, source),
        };
        let address = telling.about.from.map(|a| a.to_canonical().to_string());
        let purposes = purposes(telling.about);
        let mut agents = Vec::with_capacity(3);
        // `person:… client:…`, `client:…`, `import:… and its reason`, `operator`, `system:…`
        let (first, second) = match telling.actor.split_once(' ') {
            Some((first, second)) if first.starts_with("person:") => (first, Some(second)),
            _ => (telling.actor, None),
        };
        if let Some(id) = first.strip_prefix("person:") {
            let mut person = self.person(id);
            if does != Does::Receive {
                person.part = Coding::new(PARTICIPATION, "AUT", "author (originator)");
            }
            person.purposes.clone_from(&purposes);
            if second.is_none() {
                person.address.clone_from(&address);
            }
            agents.push(person);
        }
        let program = second.or_else(|| (!first.starts_with("person:")).then_some(first));
        if let Some(program) = program {
            let mut client = self.client(program, client_part);
            client.requestor = agents.is_empty();
            client.address = address;
            if agents.is_empty() {
                client.purposes = purposes;
            }
            agents.push(client);
        }
        agents.push(Agent {
            part: server_part,
            who: Name::Identifier("urn:insula:tenant", self.tenant.id.name().to_string()),
            name: "Insula".to_owned(),
            alt_id: None,
            requestor: false,
            roles: Vec::new(),
            address: Some(self.tenant.shared.config.host.clone()),
            purposes: Vec::new(),
        });
        agents
    }

    /// A person as they are known now.
    fn person(&self, id: &str) -> Agent {
        let found = PersonId::new(id).and_then(|id| self.tenant.people().person(&id));
        let record = found.as_ref().map(|person| &person.record);
        let who = record.and_then(|r| r.fhir_user.as_ref()).map_or_else(
            || Name::Identifier("urn:insula:person", id.to_owned()),
            |(of, id)| {
                let of = self.tenant.model.type_name(*of);
                Name::Reference(format!("{of}/{}", id.as_str()))
            },
        );
        let roles = record.map(|r| &r.roles[..]).unwrap_or_default();
        let mut codes: Vec<Coding> = Vec::new();
        for role in roles {
            let code = Coding::new("urn:insula:role", &role.role, "");
            if !codes.contains(&code) {
                codes.push(code);
            }
        }
        Agent {
            part: Coding::new(PARTICIPATION, "IRCP", "information recipient"),
            who,
            name: record.map_or_else(String::new, |r| r.name.to_string()),
            alt_id: Some(format!("person:{id}")),
            requestor: true,
            roles: codes,
            address: None,
            purposes: Vec::new(),
        }
    }

    /// A program, or whoever else acts without being a person.
    fn client(&self, actor: &str, part: Coding) -> Agent {
        let id = actor
            .strip_prefix("client:")
            .or_else(|| actor.strip_prefix("import:"))
            .map(|id| id.split_once(' ').map_or(id, |(id, _)| id));
        let (who, name) = match id {
            Some(id) => {
                let record = ClientId::new(id).and_then(|id| self.tenant.clients().get(&id));
                let name = record.map_or_else(|| id.to_owned(), |r| r.name);
                (Name::Identifier("urn:insula:client", id.to_owned()), name)
            }
            None => (
                Name::Identifier("urn:insula:actor", actor.to_owned()),
                actor.to_owned(),
            ),
        };
        Agent {
            part,
            who,
            name,
            alt_id: Some(actor.to_owned()),
            requestor: false,
            roles: Vec::new(),
            address: None,
            purposes: Vec::new(),
        }
    }
}

/// Whether the word of a record is none of an id: the history of a type, what labels there are, an
/// operation.
fn is_word(told: &Told) -> bool {
    let word = told.word.as_deref();
    let words = match told.action {
        Some(ActionName::Search) => {
            matches!(word, Some("meta" | "everything" | "graphql" | "lastn"))
        }
        _ => word == Some("history"),
    };
    words && told.outcome != "refused"
}

/// Whether it is an access to one resource, or to what is asked of one.
fn is_of_instance(told: &Told) -> bool {
    match told.action {
        Some(ActionName::Read) => true,
        Some(ActionName::Search) => told.type_id.is_some() && told.word.is_some() && !is_word(told),
        _ => false,
    }
}

fn outcome_of(told: &Told) -> (Outcome, Option<String>) {
    let code = told.code.as_deref();
    match told.outcome {
        "given" => (Outcome::Success, None),
        // A search that finds nothing is a search.
        "nothing" if is_of_instance(told) => {
            (Outcome::MinorFailure, Some("nothing was there".to_owned()))
        }
        "nothing" => (Outcome::Success, None),
        _ => {
            let known = Code::ALL.iter().find(|c| Some(c.as_str()) == code);
            let outcome = match known.map(|c| c.kind()) {
                Some(Kind::Forbidden) => Outcome::SeriousFailure,
                _ => Outcome::MinorFailure,
            };
            (outcome, code.map(str::to_owned))
        }
    }
}

/// The patient whose opening is told of, or those whom something was about that was not written.
fn named(told: &Told) -> Vec<String> {
    let named = told.about.patients.iter();
    let named: Vec<String> = named.map(|id| format!("Patient/{}", id.as_str())).collect();
    match named.is_empty() {
        true => opened_in_words(told)
            .map(str::to_owned)
            .into_iter()
            .collect(),
        false => named,
    }
}

/// The same of a record that says it in words only, as older ones do.
fn opened_in_words(told: &Told) -> Option<&str> {
    const BEGIN: [&str; 4] = [
        "break-glass ",
        "end break-glass ",
        "accept break-glass ",
        "object to break-glass ",
    ];
    let words = told.word.as_deref()?;
    let last = words.rsplit(' ').next()?;
    let id = last.strip_prefix("Patient/")?;
    // Words of somebody's own follow a colon.
    let is_opening = told.action == Some(ActionName::Administer)
        && !words.contains(": ")
        && BEGIN.iter().any(|begin| words.starts_with(begin));
    (is_opening && ResourceId::new(id).is_ok()).then_some(last)
}

fn what_of(told: &Told, type_name: Option<&str>, history: bool) -> What {
    let words = told.word.as_deref().unwrap_or("");
    let of_type = type_name.is_some();
    match told.action {
        Some(ActionName::Read) => What::rest("read", 'R'),
        // Only operations are asked of something that a word names.
        Some(ActionName::Search) if !words.is_empty() => What::rest("operation", 'E'),
        Some(ActionName::Search) if of_type => What::rest("search-type", 'E'),
        Some(ActionName::Search) => What::rest("search-system", 'E'),
        _ if history => What::rest(
            match (of_type, words) {
                (true, "history") => "history-type",
                (true, _) => "history-instance",
                (false, _) => "history-system",
            },
            'R',
        ),
        Some(ActionName::Create) => What::rest("create", 'C'),
        Some(ActionName::Update) => What::rest("update", 'U'),
        Some(ActionName::Delete) => What::rest("delete", 'D'),
        Some(ActionName::Export) => exporting(words),
        Some(ActionName::Authenticate) => authenticating(words),
        Some(ActionName::Administer) => administering(words),
        Some(ActionName::Erase | ActionName::Receive | ActionName::History) | None => What::other(
            ("110100", "Application Activity"),
            ("110100", "Application Activity"),
            words,
            'E',
        ),
    }
}

fn exporting(words: &str) -> What {
    match words {
        // What is of many patients at once, where it was refused.
        "everything" => What::rest("operation", 'E'),
        "backup" => What::other(("110106", "Export"), ("110106", "Export"), words, 'R'),
        "verify" => What::other(
            ("110100", "Application Activity"),
            ("110131", "Software Configuration"),
            words,
            'E',
        ),
        _ => What::other(
            ("110101", "Audit Log Used"),
            ("110101", "Audit Log Used"),
            words,
            'R',
        ),
    }
}

fn authenticating(words: &str) -> What {
    let ends = ["sign out", "end ", "revoke", "take back", "signed out"];
    let code = match ends.iter().any(|w| words.starts_with(w)) {
        true => ("110123", "Logout"),
        false => ("110122", "Login"),
    };
    What::other(("110114", "User Authentication"), code, words, 'E')
}

fn administering(words: &str) -> What {
    // A reason follows in the words of whoever gives it.
    let said = words.split_once(": ").map_or(words, |(said, _)| said);
    let has = |any: &[&str]| any.iter().any(|w| said.contains(w));
    let begins = |any: &[&str]| any.iter().any(|w| words.starts_with(w));
    let action = match () {
        () if begins(&["create", "open", "add", "invite", "propose"]) => 'C',
        () if begins(&["change", "publish", "suspend", "resume", "rotate", "set"]) => 'U',
        () if begins(&["switch", "lift", "clear", "keep"]) => 'U',
        () if begins(&["revoke", "disable", "delete", "drop", "end", "take back"]) => 'D',
        () if begins(&["list", "show", "look", "diff"]) => 'R',
        () => 'E',
    };
    if has(&["import"]) {
        return What::other(("110107", "Import"), ("110107", "Import"), words, action);
    }
    let code = match () {
        () if has(&["policy", "role"]) => ("110136", "Security Roles Changed"),
        () if has(&[
            "person",
            "people",
            "password",
            "factor",
            "account",
            "administrator",
        ]) =>
        {
            ("110137", "User Security Attributes Changed")
        }
        () if has(&["client", "program", "key", "token", "grant"]) => {
            ("110129", "Security Configuration")
        }
        () => ("110131", "Software Configuration"),
    };
    What::other(("110113", "Security Alert"), code, words, action)
}

const PARTICIPATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType";
const PROVENANCE_PART: &str = "http://terminology.hl7.org/CodeSystem/provenance-participant-type";

/// Codes of v3's PurposeOfUse that a reason may begin with.
const PURPOSES: &[(&str, &str)] = &[
    ("TREAT", "treatment"),
    ("ETREAT", "Emergency Treatment"),
    ("CAREMGT", "care management"),
    ("COORDCAREDEL", "coordination of care"),
    ("HPAYMT", "healthcare payment"),
    ("HOPERAT", "healthcare operations"),
    ("HRESCH", "healthcare research"),
    ("PATADMIN", "patient administration"),
    ("PATRQT", "patient requested"),
    ("PUBHLTH", "public health"),
    ("FAMRQT", "family requested"),
    ("HLEGAL", "legal"),
    ("HQUALIMP", "health quality improvement"),
];
const ACT_REASON: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";

/// The code that a reason begins with, if it begins with one.
pub(super) fn purpose_code(why: &str) -> Option<&'static str> {
    let (word, _) = why.split_once([' ', ':', ';', ',']).unwrap_or((why, ""));
    let known = PURPOSES.iter().find(|(code, _)| *code == word);
    known.map(|(code, _)| *code)
}

/// The code of the purpose of use that was named; empty where none was.
pub(super) fn purpose_of(about: &About) -> String {
    if about.break_glass {
        return "BTG".to_owned();
    }
    let named = purposes(about).into_iter().find_map(|(code, _)| code);
    named.map_or_else(String::new, |code| code.code)
}

fn purposes(about: &About) -> Vec<(Option<Coding>, String)> {
    let mut purposes = Vec::new();
    if about.break_glass {
        let code = Coding::new(ACT_REASON, "BTG", "break the glass");
        purposes.push((Some(code), "access was broken open".to_owned()));
    }
    if let Some(why) = &about.why {
        let (word, rest) = why.split_once([' ', ':', ';', ',']).unwrap_or((why, ""));
        let known = PURPOSES.iter().find(|(code, _)| *code == word);
        purposes.push(match known {
            Some((code, display)) => {
                let rest = rest.trim_start_matches([' ', ':', ';', ',']);
                (
                    Some(Coding::new(ACT_REASON, code, display)),
                    rest.to_owned(),
                )
            }
            None => (None, why.clone()),
        });
    }
    purposes
}

/// Adds the patients whom something touched, each once.
fn touch(event: &mut AuditEvent, mut patients: Vec<ResourceId>) {
    patients.sort();
    patients.dedup();
    let patients = patients.into_iter().map(Entity::Patient);
    event.entities.extend(patients);
}

impl ChangeRow {
    /// Who made it, as the trail names them.
    pub(super) fn actor(&self) -> &str {
        &self.actor
    }

    /// Whether a person made it.
    pub(super) fn is_by_person(&self) -> bool {
        self.actor.starts_with("person:")
    }

    /// Who made it, and from where.
    pub(super) fn made(&self) -> Changed {
        Changed {
            at: self.at,
            actor: self.actor.clone(),
            from: self.about.from,
            facilities: self.about.facilities.clone(),
        }
    }

    const COLUMNS: &str = "c.seq, c.updated_us, c.request, a.text, c.members, c.about";

    /// Changes with versions, from a place on in this direction; at most `limit`.
    pub(super) fn some(
        db: &Connection,
        (after, last): (Option<Seq>, Seq),
        descending: bool,
        limit: usize,
    ) -> Result<Vec<Self>> {
        let signed = |seq: Seq| i64::try_from(seq.0).unwrap_or(i64::MAX);
        let (low, high) = match (descending, after) {
            (true, Some(after)) => (0, signed(after).saturating_sub(1).min(signed(last))),
            (false, Some(after)) => (signed(after), signed(last)),
            (_, None) => (0, signed(last)),
        };
        let order = if descending { "DESC" } else { "ASC" };
        let sql = format!(
            "SELECT {} FROM change c JOIN actor a ON a.id = c.actor
             WHERE c.seq > ?1 AND c.seq <= ?2 AND c.members > 0 ORDER BY c.seq {order} LIMIT ?3",
            Self::COLUMNS
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        db.prepare_cached(&sql)
            .and_then(|mut s| {
                s.query_map((low, high, limit), Self::read)?
                    .collect::<rusqlite::Result<_>>()
            })
            .doing(super::DOING)
    }

    /// One change with versions.
    pub(super) fn one(db: &Connection, seq: Seq) -> Result<Option<Self>> {
        let sql = format!(
            "SELECT {} FROM change c JOIN actor a ON a.id = c.actor
             WHERE c.seq = ?1 AND c.members > 0",
            Self::COLUMNS
        );
        let seq = i64::try_from(seq.0).unwrap_or(i64::MAX);
        db.query_row(&sql, [seq], Self::read)
            .optional()
            .doing(super::DOING)
    }

    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        let about: Option<Vec<u8>> = row.get(5)?;
        let unsigned = |n: i64| u64::try_from(n).unwrap_or(0);
        Ok(Self {
            seq: Seq(unsigned(row.get(0)?)),
            at: Micros(row.get(1)?),
            request: RequestId(u128::from_be_bytes(row.get(2)?)),
            actor: row.get(3)?,
            members: unsigned(row.get(4)?),
            about: about.and_then(|b| About::read(&b)).unwrap_or_default(),
        })
    }
}

/// The AuditEvent type of a model.
pub(super) fn audit_event(tenant: &OpenTenant) -> Result<TypeId> {
    tenant
        .model
        .type_id("AuditEvent")
        .ok_or_else(|| crate::sqlite::fault::internal("the version of FHIR has no AuditEvent"))
}

#[cfg(test)]
mod tests {
    use access::{Actor, Reason, RequestMeta};

    use super::*;
    use crate::audit::{Asked, Outcome, Record, Subject};

    #[test]
    fn whose_opening_a_record_tells_of() {
        let patient = ResourceId::new("p1").unwrap();
        let told = |words: &str, action, patient: Option<&ResourceId>| {
            let record = Record {
                request: RequestMeta::new(RequestId(1), Micros(1)),
                actor: &Actor::system(Reason::Operation),
                action,
                subject: Subject::Other(None, words),
                asked: Asked {
                    patient,
                    ..Asked::default()
                },
                outcome: Outcome::Given(0),
            };
            let told = Told::read(&record.encode(None)).unwrap();
            let mut all = named(&told);
            assert!(all.len() <= 1, "{all:?}");
            all.pop()
        };
        let administer = ActionName::Administer;
        let p1 = Some("Patient/p1".to_owned());
        assert_eq!(
            told("break-glass Patient/p1", administer, Some(&patient)),
            p1
        );
        // It is not read off words where it is said.
        assert_eq!(
            told("break-glass Patient/p2", administer, Some(&patient)),
            p1
        );
        assert_eq!(told("whatever", administer, Some(&patient)), p1);
        // Older records have words alone.
        for words in ["break-glass Patient/p1", "end break-glass 7 Patient/p1"] {
            assert_eq!(told(words, administer, None), p1, "{words}");
            assert_eq!(told(words, ActionName::Read, None), None, "{words}");
        }
        let words = "create client c: break-glass Patient/p1";
        assert_eq!(told(words, administer, None), None);
    }
}
