//! `near`: `latitude|longitude|distance|units` (`location.html#positional`).

use super::super::query::{Circle, Match, Range, Spot};
use super::super::value::number::{self, in_unit};
use super::named::Named;
use super::text::{split, unescape};
use crate::outcome::Issue;

/// How far is near where the search does not say, in metres.
const RADIUS_DEFAULT: f64 = 50_000.0;

/// Units of length and how many metres they are.
const UNITS: &[(&str, f64)] = &[
    ("km", 1_000.0),
    ("m", 1.0),
    ("[mi_i]", 1_609.344),
    ("mi", 1_609.344),
    ("[ft_i]", 0.304_8),
    ("[nmi_i]", 1_852.0),
];

/// How many metres a UCUM unit of length is.
fn metres(unit: &str) -> Option<f64> {
    let one = Range {
        low: 1.0,
        high: 1.0,
    };
    in_unit(one, unit, "m").map(|r| r.low)
}

/// `latitude|longitude`: a place that is inside of a boundary.
pub(super) fn inside(named: &Named<'_>, text: &str) -> Result<Match, Issue> {
    const FORM: &str = "the form is latitude|longitude, in degrees";
    let parts = split(text, '|');
    let spot = spot(named, &parts, FORM)?;
    match parts.len() {
        2 => Ok(Match::Encloses(spot)),
        _ => Err(named.bad_value(FORM)),
    }
}

/// The place that the first two parts are.
fn spot(named: &Named<'_>, parts: &[&str], form: &str) -> Result<Spot, Issue> {
    let number = |at: usize| parts.get(at).and_then(|p| number::point(&unescape(p)));
    let (Some(latitude), Some(longitude)) = (number(0), number(1)) else {
        return Err(named.bad_value(form));
    };
    if !(-90.0..=90.0).contains(&latitude) || !(-180.0..=180.0).contains(&longitude) {
        return Err(named.bad_value("there is no such place"));
    }
    Ok(Spot {
        latitude,
        longitude,
    })
}

/// `near`
pub(super) fn read(named: &Named<'_>, text: &str) -> Result<Match, Issue> {
    let bad = |what: &str| named.bad_value(what);
    let parts = split(text, '|');
    let number = |text: &str| number::point(&unescape(text));
    let Spot {
        latitude,
        longitude,
    } = spot(
        named,
        &parts,
        "the form is latitude|longitude|distance|units, in degrees",
    )?;
    let unit = match parts.get(3).copied().filter(|u| !u.is_empty()) {
        None => 1_000.0,
        Some(name) => {
            let name = unescape(name);
            let known = UNITS.iter().find(|(n, _)| *n == name);
            known
                .map(|(_, metres)| *metres)
                .or_else(|| metres(&name))
                .ok_or_else(|| bad("the unit is a UCUM unit of length, as km, m, [mi_i], [ft_i]"))?
        }
    };
    let radius = match parts.get(2).copied().filter(|d| !d.is_empty()) {
        None => RADIUS_DEFAULT,
        Some(distance) => number(distance)
            .filter(|d| *d >= 0.0)
            .map(|d| d * unit)
            .ok_or_else(|| bad("the distance is a number, zero or more"))?,
    };
    if parts.len() > 4 {
        return Err(bad("the form is latitude|longitude|distance|units"));
    }
    Ok(Match::Near(Circle {
        latitude,
        longitude,
        radius,
    }))
}
