//! Days and moments of the clinics' wall clock, written as FHIR `date` and `dateTime`.

use std::fmt;

use base::clock::{civil_from_days, days_from_civil};

/// A day, counted from 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date(pub i64);

/// Days in a year, on average.
pub(super) const YEAR: f64 = 365.2425;

impl Date {
    /// The day of a civil date.
    pub const fn new(year: i64, month: u8, day: u8) -> Self {
        Self(days_from_civil(year, month, day))
    }

    /// This day plus a number of days.
    pub(super) const fn plus(self, days: i64) -> Self {
        Self(self.0 + days)
    }

    /// Days from another day to this one.
    pub(super) const fn since(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }

    /// Age in years (with a fraction) of somebody born on `birth`.
    pub(super) fn age(self, birth: Self) -> f64 {
        self.since(birth) as f64 / YEAR
    }

    /// The next day from Monday to Friday, itself included.
    pub(super) const fn working_day(self) -> Self {
        match (self.0 + 3).rem_euclid(7) {
            5 => Self(self.0 + 2),
            6 => Self(self.0 + 1),
            _ => self,
        }
    }

    /// The day that lies `n` working days after this one.
    pub(super) const fn plus_working_days(self, n: i64) -> Self {
        let start = self.plus(1).working_day();
        let weekday = (start.0 + 3).rem_euclid(7);
        let days = weekday + n;
        Self(start.0 - weekday + days / 5 * 7 + days % 5)
    }

    pub(super) const fn month(self) -> u8 {
        civil_from_days(self.0).1
    }

    pub(super) const fn year(self) -> i64 {
        civil_from_days(self.0).0
    }

    /// This day at a time of day, in minutes after midnight.
    pub(super) const fn at(self, minute: i64) -> Moment {
        Moment(self.0 * 1440 + minute)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (y, m, d) = civil_from_days(self.0);
        write!(f, "{y:04}-{m:02}-{d:02}")
    }
}

/// A minute of the clinics' wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(i64);

impl Moment {
    pub(super) const fn plus(self, minutes: i64) -> Self {
        Self(self.0 + minutes)
    }

    pub(super) const fn date(self) -> Date {
        Date(self.0.div_euclid(1440))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minute = self.0.rem_euclid(1440);
        write!(
            f,
            "{}T{:02}:{:02}:00-05:00",
            self.date(),
            minute / 60,
            minute % 60
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weekends_are_skipped() {
        let friday = Date::new(2026, 11, 20);
        assert_eq!(friday.working_day(), friday);
        assert_eq!(friday.plus(1).working_day(), Date::new(2026, 11, 23));
        assert_eq!(friday.plus(2).working_day(), Date::new(2026, 11, 23));
        assert_eq!(friday.plus_working_days(0), Date::new(2026, 11, 23));
        assert_eq!(friday.plus_working_days(7), Date::new(2026, 12, 2));
        assert_eq!(
            friday.at(9 * 60 + 5).to_string(),
            "2026-11-20T09:05:00-05:00"
        );
    }
}
