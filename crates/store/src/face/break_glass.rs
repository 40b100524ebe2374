//! Patients whom somebody opened in an emergency.

use access::PersonId;
use base::{Micros, ResourceId};

/// A patient whom a person opened, under a grant of the policy, for a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// Its id.
    pub id: Box<str>,
    /// Who opened.
    pub person: PersonId,
    /// The epoch of their record then.
    pub person_epoch: u64,
    /// As audit lines name them.
    pub actor: String,
    /// The grant's name.
    pub grant: String,
    /// Whom.
    pub patient: ResourceId,
    /// The coded purpose of use (`BTG`).
    pub purpose: String,
    /// Why, in their words.
    pub reason: String,
    /// When.
    pub opened: Micros,
    /// It ends by itself then.
    pub until: Micros,
    /// When it was ended early, and by whom.
    pub ended: Option<(Micros, String)>,
    /// What somebody else said about it afterwards.
    pub review: Option<Review>,
}

/// What somebody else said about an opening.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    /// Who.
    pub by: String,
    /// When.
    pub at: Micros,
    /// Whether they object to it.
    pub objects: bool,
    /// Why.
    pub remark: String,
}

/// How far an opening is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpeningState {
    /// The patient is open.
    Open,
    /// It is over and waits to be reviewed.
    Due,
    /// It should have been reviewed by now.
    Overdue,
    /// It was reviewed and found right.
    Accepted,
    /// It was reviewed, and somebody objects.
    Objected,
}

impl OpeningState {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Due => "due",
            Self::Overdue => "overdue",
            Self::Accepted => "accepted",
            Self::Objected => "objected",
        }
    }
}

impl Opening {
    /// When it was over, or will be.
    pub fn end(&self) -> Micros {
        self.ended.as_ref().map_or(self.until, |(at, _)| *at)
    }

    /// Whether the patient is open at this time.
    pub fn is_open(&self, now: Micros) -> bool {
        self.opened <= now && now < self.end()
    }

    /// How far it is; it should be reviewed within so many seconds of its end.
    pub fn state(&self, now: Micros, review_seconds: u64) -> OpeningState {
        let within = i64::try_from(review_seconds).unwrap_or(i64::MAX);
        match &self.review {
            Some(review) if review.objects => OpeningState::Objected,
            Some(_) => OpeningState::Accepted,
            None if self.is_open(now) => OpeningState::Open,
            None if self.end().plus_secs(within) < now => OpeningState::Overdue,
            None => OpeningState::Due,
        }
    }
}

/// How many openings wait, for those who may not see which.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpeningCounts {
    /// Patients who are open.
    pub open: u64,
    /// Over and not reviewed, overdue ones among them.
    pub due: u64,
    /// Not reviewed in time.
    pub overdue: u64,
}
