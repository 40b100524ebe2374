//! Documents to items: each resource with its type, its id, and its references made literal.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use base::ResourceId;
use base::ids::uuid_text;
use fhir::bundle::rewrite_references;
use fhir::definitions::Model;
use fhir::json::{self, Value, push_json_string};
use ring::digest;

use super::Reject;
use super::links::{Links, Target, is_open};
use super::source::{Document, Origin};

/// Nesting of JSON that is read; the server may allow less.
const DEPTH_MAX: usize = 256;

/// One resource to be written.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) place: Place,
    /// Number within its origin, counted from 0.
    pub(super) ordinal: u64,
    pub(super) type_name: &'static str,
    pub(super) id: String,
    /// The resource, compact.
    pub(super) body: String,
    /// References that lead to nothing that was seen so far.
    pub(super) open: Vec<String>,
    /// The request that the input asked for, when it is a conditional one.
    pub(super) conditional: Option<Conditional>,
}

/// Where a resource stands in the input.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) origin: Arc<Origin>,
    pub(super) line: Option<u64>,
    pub(super) entry: Option<u64>,
}

/// A conditional create or update: what it is decides the server.
#[derive(Clone, Debug)]
pub(super) struct Conditional {
    pub(super) method: &'static str,
    pub(super) url: String,
    pub(super) if_none_exist: Option<String>,
    pub(super) full_url: Option<String>,
}

/// What a document holds.
#[derive(Debug)]
pub(super) enum Piece {
    Item(Box<Item>),
    /// With its ordinal.
    Reject(u64, Reject),
}

/// Takes documents apart.
#[derive(Debug)]
pub(super) struct Splitter {
    pub(super) model: &'static Model,
    pub(super) links: Links,
    origin: Option<Arc<Origin>>,
    ordinal: u64,
}

/// An entry before its references are looked at.
struct Entry<'d> {
    index: Option<u64>,
    resource: Value<'d>,
    full_url: Option<String>,
    target: Target,
    conditional: Option<Conditional>,
    has_id: bool,
}

/// Why something is not imported.
type Refusal = String;

/// An entry, or its position and why it is not imported.
type Slot<'d> = Result<Entry<'d>, (Option<u64>, Refusal)>;

impl Place {
    pub(super) fn reject(
        &self,
        resource: Option<String>,
        code: Option<String>,
        reason: String,
    ) -> Reject {
        Reject {
            source: self.origin.name.clone(),
            line: self.line,
            entry: self.entry,
            resource,
            code,
            reason,
        }
    }
}

impl Splitter {
    pub(super) fn new(model: &'static Model) -> Self {
        Self {
            model,
            links: Links::new(model),
            origin: None,
            ordinal: 0,
        }
    }

    /// Begins another pass over the inputs.
    pub(super) fn begin(&mut self) {
        self.origin = None;
    }

    /// Resources and rejects of the current origin so far.
    pub(super) const fn ordinal(&self) -> u64 {
        self.ordinal
    }

    /// Takes a document apart. Conditional entries come first: `settle` is given all of them and
    /// says what they became, so that the others can refer to them.
    pub(super) fn split(
        &mut self,
        document: &Document,
        settle: &mut dyn FnMut(Vec<Item>) -> anyhow::Result<HashMap<String, String>>,
        take: &mut dyn FnMut(Piece) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        if self.origin.as_ref() != Some(&document.origin) {
            self.origin = Some(document.origin.clone());
            self.ordinal = 0;
        }
        let place = Place {
            origin: document.origin.clone(),
            line: document.line,
            entry: None,
        };
        let parsed = match &document.text {
            Err(why) => Err(why.clone()),
            Ok(text) if text.is_empty() => return Ok(()),
            Ok(text) => json::parse(text, DEPTH_MAX).map_err(|e| format!("not JSON: {e}")),
        };
        let refuse = |this: &mut Self, why: Refusal| {
            let ordinal = this.next_ordinal();
            Piece::Reject(ordinal, place.reject(None, None, why))
        };
        let doc = match parsed {
            Ok(doc) => doc,
            Err(why) => return take(refuse(self, why)),
        };
        match self.entries(doc.root(), document) {
            Err(why) => take(refuse(self, why)),
            Ok(entries) => self.items(&place, entries, settle, take),
        }
    }

    fn next_ordinal(&mut self) -> u64 {
        self.ordinal += 1;
        self.ordinal - 1
    }

    /// The resources of a document: itself, or what a Bundle holds.
    fn entries<'d>(&self, root: Value<'d>, document: &Document) -> Result<Vec<Slot<'d>>, Refusal> {
        let kind = root.get("resourceType").and_then(Value::as_str);
        let Some(kind) = kind else {
            return Err("no resourceType".into());
        };
        let bundle_type = root.get("type").and_then(Value::as_str).unwrap_or_default();
        if kind != "Bundle" || matches!(&*bundle_type, "document" | "message") {
            let entry = self.entry(root, None, None, document, 0);
            return Ok(vec![entry.map_err(|why| (None, why))]);
        }
        if !matches!(
            &*bundle_type,
            "transaction" | "batch" | "collection" | "searchset"
        ) {
            return Err(format!(
                "Bundles of type \"{bundle_type}\" are not imported"
            ));
        }
        let mut entries = Vec::new();
        for (index, entry) in root
            .get("entry")
            .into_iter()
            .flat_map(Value::items)
            .enumerate()
        {
            let mode = entry
                .get("search")
                .and_then(|s| s.get("mode"))
                .and_then(Value::as_str);
            if mode.as_deref() == Some("outcome") {
                continue;
            }
            let at = Some(index as u64);
            let found = match entry.get("resource") {
                Some(resource) => self.entry(resource, Some(entry), at, document, index as u64),
                None => Err(match entry.get("request").and_then(|r| r.get("method")) {
                    Some(method) => format!(
                        "entries with request.method {} are not imported",
                        method.as_str().unwrap_or_default()
                    ),
                    None => "the entry has no resource".into(),
                }),
            };
            entries.push(found.map_err(|why| (at, why)));
        }
        Ok(entries)
    }

    fn entry<'d>(
        &self,
        resource: Value<'d>,
        entry: Option<Value<'d>>,
        index: Option<u64>,
        document: &Document,
        number: u64,
    ) -> Result<Entry<'d>, Refusal> {
        let text = |of: Value<'d>, name| of.get(name).and_then(Value::as_str).map(Cow::into_owned);
        let name = text(resource, "resourceType").ok_or("no resourceType")?;
        let type_id = self
            .model
            .type_id(&name)
            .ok_or_else(|| format!("\"{name}\" is no resource type"))?;
        let request = entry.and_then(|e| e.get("request"));
        let full_url = entry.and_then(|e| text(e, "fullUrl"));
        let method = request.and_then(|r| text(r, "method"));
        let url = request.and_then(|r| text(r, "url")).unwrap_or_default();
        let mut own_id = text(resource, "id");
        let has_id = own_id.is_some();
        let conditional = match method.as_deref() {
            None => None,
            Some("POST") => request
                .and_then(|r| text(r, "ifNoneExist"))
                .map(|criteria| Conditional {
                    method: "POST",
                    url: name.clone(),
                    if_none_exist: Some(criteria),
                    full_url: full_url.clone(),
                }),
            Some("PUT") if url.contains('?') => Some(Conditional {
                method: "PUT",
                url,
                if_none_exist: None,
                full_url: full_url.clone(),
            }),
            Some("PUT") => {
                let id = url.rsplit('/').next().unwrap_or_default();
                if own_id.is_none() {
                    own_id = Some(id.to_owned());
                }
                None
            }
            Some(other) => {
                return Err(format!(
                    "entries with request.method {other} are not imported"
                ));
            }
        };
        let id = match own_id {
            Some(id) => ResourceId::new(&id)
                .map_err(|e| format!("\"{id}\": {e}"))?
                .as_str()
                .to_owned(),
            None => derived_id(full_url.as_deref(), document, number),
        };
        Ok(Entry {
            index,
            resource,
            full_url,
            target: (type_id, id),
            conditional,
            has_id,
        })
    }

    fn items(
        &mut self,
        place: &Place,
        entries: Vec<Slot<'_>>,
        settle: &mut dyn FnMut(Vec<Item>) -> anyhow::Result<HashMap<String, String>>,
        take: &mut dyn FnMut(Piece) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut inside: HashMap<String, String> = HashMap::new();
        for entry in entries.iter().flatten().filter(|e| e.conditional.is_none()) {
            self.links.note_identifiers(&entry.target, entry.resource);
            if let Some(url) = &entry.full_url {
                self.links.note_url(url, &entry.target);
                if !url.starts_with("urn:") {
                    let (type_id, id) = &entry.target;
                    inside.insert(
                        url.clone(),
                        format!("{}/{id}", self.model.type_name(*type_id)),
                    );
                }
            }
        }
        let first = self.ordinal;
        self.ordinal += entries.len() as u64;
        let at = |index| Place {
            entry: index,
            ..place.clone()
        };
        let mut conditional = Vec::new();
        for (ordinal, entry) in (first..).zip(&entries) {
            if let Ok(entry) = entry
                && entry.conditional.is_some()
            {
                conditional.push(self.item(at(entry.index), ordinal, entry, &inside));
            }
        }
        if !conditional.is_empty() {
            inside.extend(settle(conditional)?);
        }
        for (ordinal, entry) in (first..).zip(entries) {
            take(match entry {
                Err((index, why)) => Piece::Reject(ordinal, at(index).reject(None, None, why)),
                Ok(entry) if entry.conditional.is_some() => continue,
                Ok(entry) => Piece::Item(Box::new(self.item(
                    at(entry.index),
                    ordinal,
                    &entry,
                    &inside,
                ))),
            })?;
        }
        Ok(())
    }

    fn item(
        &self,
        place: Place,
        ordinal: u64,
        entry: &Entry<'_>,
        inside: &HashMap<String, String>,
    ) -> Item {
        let mut open = Vec::new();
        let mut map = |link: &str| {
            if !inside.is_empty()
                && let Some(found) = inside.get(link)
            {
                return Some(found.clone());
            }
            let opens = is_open(self.model, link);
            let found = (opens || link.starts_with("urn:"))
                .then(|| self.links.find(link))
                .flatten();
            if opens && found.is_none() {
                open.push(link.to_owned());
            }
            found
        };
        let mut body = rewrite_references(self.model, entry.resource, &mut map);
        let (type_id, id) = &entry.target;
        if !entry.has_id && entry.conditional.is_none() {
            let mut member = String::from("\"id\":");
            push_json_string(id, &mut member);
            member.push(',');
            body.insert_str(1, &member);
        }
        Item {
            place,
            ordinal,
            type_name: self.model.type_name(*type_id),
            id: id.clone(),
            body,
            open,
            conditional: entry.conditional.clone(),
        }
    }
}

/// An id for a resource without one: the UUID of its full URL, or one that follows from the
/// input's digest and the place in it.
fn derived_id(full_url: Option<&str>, document: &Document, number: u64) -> String {
    let uuid = full_url.and_then(|url| url.strip_prefix("urn:uuid:"));
    if let Some(uuid) = uuid.map(str::to_ascii_lowercase)
        && base::ids::uuid_bytes(&uuid).is_some()
    {
        return uuid;
    }
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(&document.origin.digest);
    context.update(&document.line.unwrap_or(0).to_be_bytes());
    context.update(&number.to_be_bytes());
    let mut bytes = [0u8; 16];
    for (to, from) in bytes.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    // The form of a UUID version 8 (RFC 9562): made by our own rule.
    bytes[6] = 0x80 | (bytes[6] & 0x0f);
    bytes[8] = 0x80 | (bytes[8] & 0x3f);
    uuid_text(bytes)
}
