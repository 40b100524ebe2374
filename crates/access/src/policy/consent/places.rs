//! Facilities and what each is part of, as far as it decides whether a consent about one is about another.
//! What is not known of a facility makes nobody somebody else.

use std::collections::HashMap;

use base::ResourceId;
use serde_json::Value;

use super::Reference;
use super::read::reference;

/// Steps from a part to a whole that are followed.
const DEPTH_MAX: usize = 32;

type Place = (Box<str>, ResourceId);

/// Organizations and Locations, and what each is said to be part of, where that can be read.
#[derive(Clone, Debug, Default)]
pub(super) struct Places(HashMap<Place, Option<Vec<Reference>>>);

impl Places {
    /// Learns of one as it is now; whether that is something new.
    pub(super) fn learn(&mut self, of: &str, id: &ResourceId, body: Option<&[u8]>) -> bool {
        let place = (of.into(), id.clone());
        match body.map(wholes) {
            Some(wholes) => self.0.insert(place, wholes.clone()) != Some(wholes),
            None => self.0.remove(&place).is_some(),
        }
    }

    /// Whether one is there.
    pub(super) fn is_there(&self, facility: &str) -> bool {
        let named = facility.split_once('/');
        let place = named.and_then(|(of, id)| Some((of.into(), ResourceId::new(id).ok()?)));
        place.is_some_and(|place: Place| self.0.contains_key(&place))
    }

    /// Whether neither of two is known to be, or may be, in the other.
    pub(super) fn are_apart(&self, one: (&str, &ResourceId), other: (&str, &ResourceId)) -> bool {
        self.is_outside(one, other) && self.is_outside(other, one)
    }

    fn is_outside(&self, part: (&str, &ResourceId), whole: (&str, &ResourceId)) -> bool {
        let mut open = vec![((part.0.into(), part.1.clone()), 0)];
        while let Some((place, depth)) = open.pop() {
            let (of, id): &Place = &place;
            if (&**of, id) == whole || depth >= DEPTH_MAX {
                return false;
            }
            let Some(Some(wholes)) = self.0.get(&place) else {
                return false;
            };
            for next in wholes {
                if next.base.is_some() {
                    return false;
                }
                open.push(((next.of.clone(), next.id.clone()), depth + 1));
            }
        }
        true
    }
}

/// What one is part of; none where that cannot be read.
fn wholes(body: &[u8]) -> Option<Vec<Reference>> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let named = ["partOf", "managingOrganization"];
    let named = named.iter().filter_map(|name| body.get(*name));
    named.map(reference).collect()
}
