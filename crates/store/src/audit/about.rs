//! What a record says of an access beside who, what and how it ended: from where, why, at which
//! facilities, with which query. Items of a tag, a length and bytes; a tag that is not known is
//! passed over, so that items can be added.

use std::net::IpAddr;

use access::{Actor, RequestMeta, Why};
use base::{ResourceId, Version};

use super::{number, take_number};

const ADDRESS: u8 = 1;
const WHY: u8 = 2;
const FACILITIES: u8 = 3;
const BREAK_GLASS: u8 = 4;
const QUERY: u8 = 5;
const VERSION: u8 = 6;
const TIMES: u8 = 7;
const PATIENT: u8 = 8;

/// Bytes of a query that are kept.
pub(crate) const QUERY_BYTES_MAX: usize = 8 << 10;

/// What is asked, beside the subject.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked<'a> {
    /// The query, as it came.
    pub(crate) query: Option<&'a str>,
    /// The version that was asked for.
    pub(crate) version: Option<Version>,
    /// How often, where one record stands for more than one time.
    pub(crate) times: Option<u64>,
    /// The patient whom it is about, where it is about no resource.
    pub(crate) patient: Option<&'a ResourceId>,
    /// Those whom something was about that was not written.
    pub(crate) patients: &'a [ResourceId],
}

/// Writes what is known of a request.
pub(crate) fn write(out: &mut Vec<u8>, request: &RequestMeta, actor: &Actor, asked: Asked<'_>) {
    match request.from {
        Some(IpAddr::V4(address)) => item(out, ADDRESS, &address.octets()),
        Some(IpAddr::V6(address)) => item(out, ADDRESS, &address.octets()),
        None => {}
    }
    let texts = [
        (WHY, request.why.as_str()),
        (FACILITIES, actor.facilities().unwrap_or("")),
        (QUERY, cut(asked.query.unwrap_or(""), QUERY_BYTES_MAX)),
    ];
    for (tag, text) in texts {
        if !text.is_empty() {
            item(out, tag, text.as_bytes());
        }
    }
    if request.break_glass {
        item(out, BREAK_GLASS, &[]);
    }
    if let Some(version) = asked.version {
        item(out, VERSION, &version.0.to_be_bytes());
    }
    if let Some(times) = asked.times {
        item(out, TIMES, &times.to_be_bytes());
    }
    for patient in asked.patient.into_iter().chain(asked.patients) {
        item(out, PATIENT, patient.as_str().as_bytes());
    }
}

fn cut(text: &str, max: usize) -> &str {
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or(text)
}

fn item(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// The same, read back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct About {
    pub(crate) from: Option<IpAddr>,
    pub(crate) why: Option<String>,
    /// References, with a space between them.
    pub(crate) facilities: Option<String>,
    pub(crate) break_glass: bool,
    pub(crate) query: Option<String>,
    pub(crate) version: Option<Version>,
    pub(crate) times: Option<u64>,
    pub(crate) patients: Vec<ResourceId>,
}

impl About {
    /// `None` if the bytes are no items.
    pub(crate) fn read(mut rest: &[u8]) -> Option<Self> {
        let mut about = Self::default();
        while let Some((tag, more)) = rest.split_first() {
            rest = more;
            let length = usize::try_from(take_number(&mut rest)?).ok()?;
            let (bytes, more) = rest.split_at_checked(length)?;
            rest = more;
            let text = || Some(String::from_utf8_lossy(bytes).into_owned());
            match *tag {
                ADDRESS => about.from = address(bytes),
                WHY => about.why = text(),
                FACILITIES => about.facilities = text(),
                BREAK_GLASS => about.break_glass = true,
                QUERY => about.query = text(),
                VERSION => {
                    let version = bytes.try_into().ok().map(u64::from_be_bytes);
                    about.version = version.map(Version);
                }
                PATIENT => {
                    let id = std::str::from_utf8(bytes).ok();
                    about
                        .patients
                        .extend(id.and_then(|id| ResourceId::new(id).ok()));
                }
                TIMES => about.times = bytes.try_into().ok().map(u64::from_be_bytes),
                _ => {}
            }
        }
        Some(about)
    }

    /// What was kept of the reason.
    pub(crate) fn given(&self) -> Why {
        self.why.as_deref().map_or(Why::NONE, Why::new)
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        _ => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
    }
}
