//! Links to programs: which there are in a clinic, and the address that one of them comes to for a
//! patient, an encounter and a facility.
//!
//! A template is an `https` URL, or `http` of this machine, with `{names}` of values behind its host; what
//! is put in is percent-encoded whole, so that a value never is more than one value.

use std::fmt::Write;

use access::{ClientId, ClientRecord, decide_vendors};
use base::Code;
use serde::{Deserialize, Serialize};
use store::ProgramLink;

use super::vendor_id;
use crate::clients::{is_redirect, printable};
use crate::failure::Failure;
use crate::session::Session;

/// A program link to be kept, as the API takes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkDraft {
    /// Its id in the tenant.
    pub link: String,
    /// Its name for people.
    pub name: String,
    /// The URL to open, with `{iss}`, `{launch}`, `{patient}`, `{encounter}`, `{facility}`, `{user}`,
    /// `{tenant}` where values stand.
    pub template: String,
    /// The client that is launched, where it is a SMART program.
    #[serde(default)]
    pub client_id: Option<String>,
    /// The vendor whose grant has to let it; of a SMART program, that of its client.
    #[serde(default)]
    pub vendor: Option<String>,
}

/// A program link, as it is shown.
#[derive(Debug, Serialize)]
pub struct LinkView {
    link: String,
    name: String,
    /// For whoever keeps links.
    #[serde(skip_serializing_if = "Option::is_none")]
    template: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vendor: Option<String>,
    /// The values that it takes.
    values: Vec<&'static str>,
}

const NAMES: [&str; 7] = [
    "iss",
    "launch",
    "patient",
    "encounter",
    "facility",
    "user",
    "tenant",
];

const NAME_CHARACTERS_MAX: usize = 200;

/// Values for a template.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Values<'a> {
    pub(crate) iss: &'a str,
    pub(crate) launch: &'a str,
    pub(crate) patient: &'a str,
    pub(crate) encounter: &'a str,
    pub(crate) facility: &'a str,
    pub(crate) user: &'a str,
    pub(crate) tenant: &'a str,
}

impl<'a> Values<'a> {
    fn get(&self, name: &str) -> &'a str {
        match name {
            "iss" => self.iss,
            "launch" => self.launch,
            "patient" => self.patient,
            "encounter" => self.encounter,
            "facility" => self.facility,
            "user" => self.user,
            _ => self.tenant,
        }
    }
}

/// The parts of a template: text, and the name of the value behind it.
fn parts(template: &str) -> Result<Vec<(&str, Option<&'static str>)>, Failure> {
    let wrong = || {
        let names = NAMES.join("}, {");
        let text = format!("braces of a template hold one of {{{names}}}");
        Failure::new(Code::RequestInvalid, text)
    };
    let mut all = Vec::new();
    let mut rest = template;
    while let Some((text, after)) = rest.split_once('{') {
        let (name, more) = after.split_once('}').ok_or_else(wrong)?;
        let name = NAMES.iter().find(|known| **known == name);
        all.push((text, Some(*name.ok_or_else(wrong)?)));
        rest = more;
    }
    all.push((rest, None));
    match all.iter().any(|(text, _)| text.contains('}')) {
        true => Err(wrong()),
        false => Ok(all),
    }
}

/// Refuses what is no template of a URL of the program's own.
fn check(template: &str) -> Result<Vec<&'static str>, Failure> {
    let parts = parts(template)?;
    let bare: String = parts.iter().map(|(text, _)| *text).collect();
    let wrong = || {
        let text = "a template is an https URL, or http of this machine, whose host is written out, \
                    followed by / or ?";
        Failure::new(Code::RequestInvalid, text)
    };
    let first = parts.first().map_or("", |(text, _)| text);
    let behind = first
        .strip_prefix("https://")
        .or_else(|| first.strip_prefix("http://"));
    let host_ends = behind.is_some_and(|rest| rest.find(['/', '?']).is_some_and(|at| at > 0));
    let plain = bare.bytes().all(|b| b.is_ascii_graphic());
    if !host_ends || !plain || !is_redirect(&bare) {
        return Err(wrong());
    }
    Ok(parts.iter().filter_map(|(_, name)| *name).collect())
}

/// The template with its values.
pub(crate) fn filled(template: &str, values: &Values<'_>) -> Result<String, Failure> {
    let mut url = String::with_capacity(template.len() + 200);
    for (text, name) in parts(template)? {
        url.push_str(text);
        for byte in name.map_or("", |name| values.get(name)).bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                url.push(char::from(byte));
            } else {
                // Writing to a String does not fail.
                let _ = write!(url, "%{byte:02X}");
            }
        }
    }
    Ok(url)
}

fn view(link: &ProgramLink) -> LinkView {
    LinkView {
        link: link.id.clone(),
        name: link.name.clone(),
        template: Some(link.template.clone()),
        client_id: link.client.clone(),
        vendor: link.vendor.clone(),
        values: check(&link.template).unwrap_or_default(),
    }
}

impl Session {
    /// The programs that can be opened from within a record, in order of id, for whoever may read some
    /// record; where they lead is told to those alone who keep links. Those whose vendor is switched off
    /// are left out.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn program_links(&self) -> Result<Vec<LinkView>, Failure> {
        let keeps = decide_vendors(self.principal(), self.rights(), self.tenant(), self.request);
        let keeps = keeps.is_ok();
        let reads = self
            .decide::<access::Read>(access::Target::Readable)
            .is_ok();
        let mut all = Vec::new();
        if !keeps && !reads {
            return Ok(all);
        }
        for link in self.store.program_links().await? {
            if self.link_runs(&link).await.is_ok() {
                let mut shown = view(&link);
                shown.template = shown.template.filter(|_| keeps);
                all.push(shown);
            }
        }
        Ok(all)
    }

    /// Keeps a program link, new or changed.
    ///
    /// # Errors
    /// `scope-missing`, recorded; `request-invalid`, `client-unknown`, `vendor-unknown`, `limit-query`.
    pub async fn keep_link(&self, draft: LinkDraft) -> Result<LinkView, Failure> {
        let permit = self.for_clinic().await?;
        let id = vendor_id(&draft.link).map_err(|_| {
            let text = "link begins with a lower-case letter and has up to 64 of a-z, 0-9 and -";
            Failure::new(Code::RequestInvalid, text)
        })?;
        printable(
            &draft.name,
            NAME_CHARACTERS_MAX,
            "name has 1 to 200 characters",
        )?;
        let values = check(&draft.template)?;
        let client = match &draft.client_id {
            Some(client) => Some(self.program(client).await?),
            None => None,
        };
        if client.is_none() && values.contains(&"launch") {
            let text = "{launch} is for a SMART program: client_id says which";
            return Err(Failure::new(Code::RequestInvalid, text));
        }
        let own = client.as_ref().and_then(|c| c.vendor.as_ref());
        let vendor = match (&draft.vendor, own) {
            (Some(named), own) => {
                let named = vendor_id(named)?;
                if self.store.vendor(&named).await?.is_none() {
                    return Err(Failure::of(Code::VendorUnknown));
                }
                if client.is_some() && own != Some(&named) {
                    let text = "the client is not this vendor's";
                    return Err(Failure::new(Code::RequestInvalid, text));
                }
                Some(named.as_str().to_owned())
            }
            (None, own) => own.map(|v| v.as_str().to_owned()),
        };
        let link = ProgramLink {
            id: id.as_str().to_owned(),
            name: draft.name,
            template: draft.template,
            client: draft.client_id,
            vendor,
        };
        let shown = view(&link);
        self.store
            .change_link(permit, id.as_str(), Some(link))
            .await?;
        Ok(shown)
    }

    /// Removes a program link.
    ///
    /// # Errors
    /// `scope-missing`, recorded; `link-unknown`.
    pub async fn drop_link(&self, link: &str) -> Result<(), Failure> {
        let permit = self.for_clinic().await?;
        let id = vendor_id(link).map_err(|_| Failure::of(Code::LinkUnknown))?;
        Ok(self.store.change_link(permit, id.as_str(), None).await?)
    }

    /// A program that can be launched.
    pub(crate) async fn program(&self, client: &str) -> Result<ClientRecord, Failure> {
        let unknown = || Failure::of(Code::ClientUnknown);
        let id = ClientId::new(client).ok_or_else(unknown)?;
        let found = self.store.client(&id).await?;
        found
            .filter(|c| c.is_good(self.request.at) && c.program.is_some())
            .ok_or_else(unknown)
    }

    /// A program link that can be opened.
    pub(crate) async fn link(&self, id: &str) -> Result<ProgramLink, Failure> {
        let all = self.store.program_links().await?;
        let found = all.iter().find(|link| link.id == id);
        let link = found.ok_or(Failure::of(Code::LinkUnknown))?;
        self.link_runs(link).await?;
        Ok((**link).clone())
    }

    async fn link_runs(&self, link: &ProgramLink) -> Result<(), Failure> {
        if let Some(vendor) = &link.vendor {
            let id = vendor_id(vendor)?;
            self.gate().vendor_runs(Some(&id), self.request.at).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_lead_to_the_programs_own_host() {
        for good in [
            "https://app.example/open?patient={patient}",
            "https://app.example?p={patient}",
            "https://app.example:8443/{tenant}/{patient}?iss={iss}&launch={launch}",
            "http://localhost:9000/open",
            "http://127.0.0.1/{patient}",
        ] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "https://{tenant}.example/",
            "https://app.example{patient}/",
            "https://app.example{patient}",
            "https://app.example",
            "https:///x",
            "https://a@b.example/",
            "https://app.example/{secret}",
            "https://app.example/{patient",
            "https://app.example/patient}",
            "https://app.example/{{patient}}",
            "https://app.example/a b",
            "https://app.example/#{patient}",
            "http://app.example/{patient}",
            "com.example.app:/x?p={patient}",
            "javascript:alert({patient})",
            "data:text/html,{patient}",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_value_stays_one_value() {
        let values = Values {
            iss: "https://f.example/t/a/fhir",
            patient: "p&x=1/../#%",
            ..Values::default()
        };
        let url = filled(
            "https://a.example/{patient}?iss={iss}&e={encounter}",
            &values,
        );
        assert_eq!(
            url.unwrap(),
            "https://a.example/p%26x%3D1%2F..%2F%23%25?iss=https%3A%2F%2Ff.example%2Ft%2Fa%2Ffhir&e="
        );
    }
}
