//! Parameters whose values are compared in a way of their own (`search.html#special`): positions,
//! boundaries and narratives.

use std::borrow::Cow;
use std::fmt::Write as _;

use base::limits::fixed::{BOUNDARY_POINTS_MAX, SEARCH_TEXT_BYTES_MAX};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Emit, keep, member_text};
use crate::definitions::Content;
use crate::json::{self, Value};
use crate::path::{Plan, Types};
use crate::search::query::Range;
use crate::search::rows::RowValue;
use crate::search::value::{cut, number};
use crate::search::words;

/// How deep GeoJSON goes.
const DEPTH_MAX: usize = 32;

/// What the values of a special parameter are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Special {
    /// Latitude and longitude: `near`.
    Position,
    /// GeoJSON: `contains`.
    Boundary,
    /// Narratives: searched like `_text`.
    Narrative,
}

impl Special {
    /// By what the expression yields; where that is an extension, or any value of one, the name of
    /// the parameter says which.
    pub(super) fn of(types: &Types, plan: &Plan, code: &str) -> Option<Self> {
        let model = types.model();
        let yields = |name: &str| plan.types().iter().any(|ty| types.name(*ty) == name);
        let positions = |content: Content| match content {
            Content::Structure(structure) => {
                let structure = model.structure(structure);
                structure.element("latitude").is_some() && structure.element("longitude").is_some()
            }
            _ => false,
        };
        if plan.types().iter().any(|ty| positions(ty.content())) {
            return Some(Self::Position);
        }
        let bounds = code == "contains" || code.ends_with("-contains");
        match () {
            () if yields("Extension") && !bounds => Some(Self::Position),
            () if yields("Extension") || yields("Attachment") => Some(Self::Boundary),
            () if yields("Narrative") || yields("xhtml") => Some(Self::Narrative),
            () => None,
        }
    }
}

/// The member of an extension, or of the extension within it that this URL ends.
fn within<'v>(value: Value<'v>, name: &str, member: &str) -> Option<Value<'v>> {
    let inner = value.get("extension")?;
    let named = |e: &Value<'_>| {
        let url = e.get("url").and_then(Value::as_str).map(Cow::into_owned);
        url.is_some_and(|url| url.rsplit('/').next() == Some(name))
    };
    inner.items().find(named)?.get(member)
}

/// Where something is, as a pair that is no range: latitude and longitude. In extensions they stand
/// as extensions (`extension-geolocation.html`).
pub(super) fn position(value: Value<'_>, emit: Emit<'_>) {
    let at = |name: &str| {
        let found = value.get(name);
        let found = found.or_else(|| within(value, name, "valueDecimal"))?;
        number::point(found.as_number()?)
    };
    if let (Some(latitude), Some(longitude)) = (at("latitude"), at("longitude")) {
        emit(RowValue::Number(Range {
            low: latitude,
            high: longitude,
        }));
    }
}

/// The boundary that an attachment, or the extension around one, holds as GeoJSON (RFC 7946), itself
/// or in a Binary that the resource contains.
pub(super) fn boundary(value: Value<'_>, resource: Option<Value<'_>>, emit: Emit<'_>) {
    let attachment = value.get("valueAttachment").unwrap_or(value);
    let Some(bytes) = attached(attachment, resource) else {
        return;
    };
    let Ok(document) = json::parse(&bytes, DEPTH_MAX) else {
        return;
    };
    let mut areas = Areas::default();
    areas.geometry(document.root(), DEPTH_MAX);
    if areas.points > 0 && areas.points <= BOUNDARY_POINTS_MAX {
        emit(RowValue::Uri(areas.text.into()));
    }
}

/// What is attached: `data`, or a `url` that has its data in itself (RFC 2397) or leads to a Binary
/// that is contained.
fn attached(attachment: Value<'_>, resource: Option<Value<'_>>) -> Option<Vec<u8>> {
    let base64 = |text: &str| {
        let text: String = text.split_ascii_whitespace().collect();
        STANDARD.decode(text).ok()
    };
    if let Some(data) = attachment.get("data").and_then(Value::as_str) {
        return base64(&data);
    }
    let url = attachment.get("url").and_then(Value::as_str)?;
    if let Some(id) = url.strip_prefix('#') {
        let is = |inner: &Value<'_>| {
            let text = |name| inner.get(name).and_then(Value::as_str);
            text("id").as_deref() == Some(id) && text("resourceType").as_deref() == Some("Binary")
        };
        let inner = resource?.get("contained")?.items().find(is)?;
        return base64(&inner.get("data")?.as_str()?);
    }
    let (head, text) = url.strip_prefix("data:")?.split_once(',')?;
    let bytes = percent_decoded(text);
    match head.strip_suffix(";base64") {
        Some(_) => base64(std::str::from_utf8(&bytes).ok()?),
        None => Some(bytes),
    }
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        let digit = |b: &u8| {
            char::from(*b)
                .to_digit(16)
                .and_then(|d| u8::try_from(d).ok())
        };
        out.push(match after {
            [high, low, behind @ ..] if *first == b'%' => match (digit(high), digit(low)) {
                (Some(high), Some(low)) => {
                    rest = behind;
                    high << 4 | low
                }
                _ => *first,
            },
            _ => *first,
        });
    }
    out
}

/// Polygons as the index keeps them: points `longitude latitude`, parted by commas, rings by `;`,
/// polygons by `|`; of the rings the first goes around, the others are holes.
#[derive(Default)]
struct Areas {
    text: String,
    points: usize,
}

impl Areas {
    fn geometry(&mut self, value: Value<'_>, depth: usize) {
        let kind = value.get("type").map(member_text).unwrap_or_default();
        let coordinates = || value.get("coordinates").into_iter().flat_map(Value::items);
        let inner = |name: &str| value.get(name).into_iter().flat_map(Value::items);
        match &*kind {
            _ if depth == 0 => {}
            "Polygon" => self.polygon(coordinates()),
            "MultiPolygon" => coordinates().for_each(|polygon| self.polygon(polygon.items())),
            "Feature" => {
                if let Some(geometry) = value.get("geometry") {
                    self.geometry(geometry, depth - 1);
                }
            }
            "FeatureCollection" => inner("features").for_each(|f| self.geometry(f, depth - 1)),
            "GeometryCollection" => inner("geometries").for_each(|g| self.geometry(g, depth - 1)),
            // Points and lines have no inside.
            _ => {}
        }
    }

    fn polygon<'v>(&mut self, rings: impl Iterator<Item = Value<'v>>) {
        let mut first = true;
        for ring in rings {
            if !std::mem::take(&mut first) {
                self.text.push(';');
            } else if !self.text.is_empty() {
                self.text.push('|');
            }
            for (at, point) in ring.items().enumerate() {
                self.points += 1;
                if self.points > BOUNDARY_POINTS_MAX {
                    return;
                }
                let mut numbers = point.items().filter_map(|n| number::point(n.as_number()?));
                let (Some(longitude), Some(latitude)) = (numbers.next(), numbers.next()) else {
                    continue;
                };
                let comma = if at == 0 { "" } else { "," };
                let _ = write!(self.text, "{comma}{longitude} {latitude}");
            }
        }
    }
}

/// The words of narratives: of each of them all in order, and each word, and pair of them, alone.
#[derive(Default)]
pub(super) struct Narratives(String);

impl Narratives {
    /// Adds a narrative, or its `div`.
    pub(super) fn add(&mut self, value: Value<'_>) {
        if let Some(div) = value.get("div").unwrap_or(value).as_str() {
            self.0.push_str(&words::of_narrative(&div));
        }
    }

    /// The rows of all of them.
    pub(super) fn emit(self, emit: Emit<'_>) {
        let words = cut(&self.0, SEARCH_TEXT_BYTES_MAX);
        if words.is_empty() {
            return;
        }
        for word in words::indexed(words) {
            emit(RowValue::Uri(word.into()));
        }
        emit(RowValue::Text(words.into()));
    }

    /// The words as a text that is a part of a composite.
    pub(super) fn part(self, emit: Emit<'_>) {
        if !self.0.is_empty() {
            let text: Box<str> = cut(&self.0, SEARCH_TEXT_BYTES_MAX).into();
            emit(RowValue::String {
                exact: keep(""),
                folded: text,
            });
        }
    }
}
