//! Dates, dateTimes and times: values that know how precisely they were written.
//!
//! Comparing two of different precision may have no answer, and neither may comparing one with a
//! time zone to one without. Knows no elements and no clock.

use std::cmp::Ordering;
use std::fmt;

use base::Micros;
use base::clock::{civil_from_days, days_from_civil};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

/// Which of the three it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MomentKind {
    /// `System.Date`
    Date,
    /// `System.DateTime`
    DateTime,
    /// `System.Time`
    Time,
}

/// The last part that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precision {
    /// A year.
    Year,
    /// A month.
    Month,
    /// A day.
    Day,
    /// An hour.
    Hour,
    /// A minute.
    Minute,
    /// A second, with or without a fraction.
    Second,
}

/// A date, dateTime or time.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Which of them.
    pub kind: MomentKind,
    /// How much of it is known.
    pub precision: Precision,
    pub(super) year: i32,
    pub(super) month: u8,
    pub(super) day: u8,
    pub(super) hour: u8,
    pub(super) minute: u8,
    pub(super) second: u8,
    pub(super) nanos: u32,
    /// Digits of the fraction of a second, at most nine.
    pub(super) digits: u8,
    /// Minutes east of UTC, where written.
    pub(super) offset: Option<i16>,
}

const DAY_S: i64 = 86_400;

/// A length of time that arithmetic with dates understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Span {
    Year,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
    Millisecond,
}

impl Moment {
    /// A date or dateTime as written, without `@`; what has a `T` is a dateTime.
    pub fn parse(text: &str) -> Option<Self> {
        let (date, time) = match text.split_once('T') {
            Some((date, time)) => (date, Some(time)),
            None => (text, None),
        };
        let mut parts = date.split('-');
        let mut moment = Self::empty(MomentKind::Date);
        moment.year = i32::try_from(digits(parts.next()?, 4)?)
            .ok()
            .filter(|y| *y > 0)?;
        if let Some(month) = parts.next() {
            moment.month = small(month, 1, 12)?;
            moment.precision = Precision::Month;
        }
        if let Some(day) = parts.next() {
            moment.day = small(day, 1, days_of_month(moment.year, moment.month))?;
            moment.precision = Precision::Day;
        }
        if parts.next().is_some() {
            return None;
        }
        if let Some(time) = time {
            moment.kind = MomentKind::DateTime;
            if !time.is_empty() {
                if moment.precision != Precision::Day {
                    return None;
                }
                let (clock, offset) = zone(time)?;
                moment.offset = offset;
                moment.read_clock(clock)?;
            }
        }
        Some(moment)
    }

    /// A dateTime, where text without a time of day is one as well (`2015-02`).
    pub fn parse_date_time(text: &str) -> Option<Self> {
        let mut moment = Self::parse(text)?;
        moment.kind = MomentKind::DateTime;
        Some(moment)
    }

    /// A time as written, without `@T`. Times have no zone.
    pub fn parse_time(text: &str) -> Option<Self> {
        let mut moment = Self::empty(MomentKind::Time);
        moment.read_clock(text)?;
        Some(moment)
    }

    /// The dateTime of an instant, in UTC with milliseconds.
    pub fn of_instant(at: Micros) -> Self {
        let seconds = at.0.div_euclid(1_000_000);
        let micros = at.0.rem_euclid(1_000_000);
        let mut moment = Self::empty(MomentKind::DateTime);
        moment.precision = Precision::Second;
        moment.set_seconds(seconds);
        moment.nanos = u32::try_from(micros / 1_000 * 1_000_000).unwrap_or(0);
        moment.digits = 3;
        moment.offset = Some(0);
        moment
    }

    const fn empty(kind: MomentKind) -> Self {
        Self {
            kind,
            precision: Precision::Year,
            year: 1,
            month: 1,
            day: 1,
            hour: 0,
            minute: 0,
            second: 0,
            nanos: 0,
            digits: 0,
            offset: None,
        }
    }

    /// `14`, `14:34`, `14:34:28`, `14:34:28.123`
    fn read_clock(&mut self, text: &str) -> Option<()> {
        let mut parts = text.split(':');
        self.hour = small(parts.next()?, 0, 23)?;
        self.precision = Precision::Hour;
        if let Some(minute) = parts.next() {
            self.minute = small(minute, 0, 59)?;
            self.precision = Precision::Minute;
        }
        if let Some(second) = parts.next() {
            let (whole, fraction) = second.split_once('.').unwrap_or((second, ""));
            if second.contains('.') && fraction.is_empty() {
                return None;
            }
            self.second = small(whole, 0, 60)?;
            self.precision = Precision::Second;
            self.nanos = 0;
            self.digits = u8::try_from(fraction.len().min(9)).ok()?;
            let mut unit = 100_000_000;
            for digit in fraction.bytes() {
                if !digit.is_ascii_digit() {
                    return None;
                }
                self.nanos += unit * u32::from(digit - b'0');
                unit /= 10;
            }
        }
        parts.next().is_none().then_some(())
    }

    /// The date of a dateTime.
    pub(super) fn date(mut self) -> Option<Self> {
        if self.kind == MomentKind::Time {
            return None;
        }
        self.kind = MomentKind::Date;
        self.cut(Precision::Day);
        Some(self)
    }

    /// The time of day of a dateTime.
    pub(super) fn time(mut self) -> Option<Self> {
        if self.precision < Precision::Hour {
            return None;
        }
        self.kind = MomentKind::Time;
        self.offset = None;
        (self.year, self.month, self.day) = (1, 1, 1);
        Some(self)
    }

    /// Forgets what is finer than `precision`.
    pub(super) fn cut(&mut self, precision: Precision) {
        self.precision = self.precision.min(precision);
        if precision < Precision::Second {
            (self.second, self.nanos, self.digits) = (0, 0, 0);
        }
        if precision < Precision::Minute {
            self.minute = 0;
        }
        if precision < Precision::Hour {
            self.hour = 0;
            self.offset = None;
        }
        if precision < Precision::Day {
            self.day = 1;
        }
        if precision < Precision::Month {
            self.month = 1;
        }
    }

    /// Seconds from 1970-01-01T00:00:00 as the clock on the wall has it.
    fn seconds(&self) -> i64 {
        let days = days_from_civil(i64::from(self.year), self.month, self.day);
        days * DAY_S
            + i64::from(self.hour) * 3_600
            + i64::from(self.minute) * 60
            + i64::from(self.second)
    }

    fn set_seconds(&mut self, seconds: i64) {
        let (year, month, day) = civil_from_days(seconds.div_euclid(DAY_S));
        let of_day = seconds.rem_euclid(DAY_S);
        self.year = i32::try_from(year).unwrap_or(0);
        (self.month, self.day) = (month, day);
        let part = |n: i64| u8::try_from(n).unwrap_or(0);
        self.hour = part(of_day / 3_600);
        self.minute = part(of_day / 60 % 60);
        self.second = part(of_day % 60);
    }

    fn in_utc(mut self) -> Self {
        if let Some(offset @ (1.. | ..=-1)) = self.offset {
            self.set_seconds(self.seconds() - i64::from(offset) * 60);
            self.offset = Some(0);
        }
        self
    }

    /// The order of two of them; `None` where their precision does not tell, or where they are a
    /// time and a date.
    pub(super) fn order(&self, other: &Self) -> Option<Ordering> {
        if (self.kind == MomentKind::Time) != (other.kind == MomentKind::Time) {
            return None;
        }
        let has_clock = |m: &Self| m.precision >= Precision::Hour;
        if self.kind != MomentKind::Time
            && has_clock(self)
            && has_clock(other)
            && self.offset.is_some() != other.offset.is_some()
        {
            return self.order_across_zones(other);
        }
        let (left, right) = if self.offset.is_some() && other.offset.is_some() {
            (self.in_utc(), other.in_utc())
        } else {
            (*self, *other)
        };
        let parts = |m: &Self| {
            [
                (Precision::Year, i64::from(m.year)),
                (Precision::Month, i64::from(m.month)),
                (Precision::Day, i64::from(m.day)),
                (Precision::Hour, i64::from(m.hour)),
                (Precision::Minute, i64::from(m.minute)),
                (
                    Precision::Second,
                    i64::from(m.second) * 1_000_000_000 + i64::from(m.nanos),
                ),
            ]
        };
        let shared = left.precision.min(right.precision);
        for ((precision, l), (_, r)) in parts(&left).into_iter().zip(parts(&right)) {
            if precision > shared {
                break;
            }
            if l != r {
                return Some(l.cmp(&r));
            }
        }
        (left.precision == right.precision).then_some(Ordering::Equal)
    }

    /// One has a zone, the other could be in any: told only when they are more than that apart.
    fn order_across_zones(&self, other: &Self) -> Option<Ordering> {
        const WEST_MIN: i64 = -12 * 60;
        const EAST_MAX: i64 = 14 * 60;
        let instant = |m: &Self, offset: i64| m.seconds() - offset * 60;
        let range = |m: &Self| match m.offset {
            Some(offset) => (instant(m, i64::from(offset)), instant(m, i64::from(offset))),
            None => (instant(m, EAST_MAX), instant(m, WEST_MIN)),
        };
        let ((low, high), (other_low, other_high)) = (range(self), range(other));
        if high < other_low {
            Some(Ordering::Less)
        } else if low > other_high {
            Some(Ordering::Greater)
        } else {
            None
        }
    }

    /// Whether both are written with the same precision, seconds and their fractions apart.
    pub(super) fn is_same_kind_and_precision(&self, other: &Self) -> bool {
        (self.kind == MomentKind::Time) == (other.kind == MomentKind::Time)
            && self.precision == other.precision
    }

    /// This moment and a number of years, days … Parts of a number count for seconds only (and
    /// there only if `fractions`); what is finer than the precision is first made as coarse.
    /// `None` if no calendar has the result.
    pub(super) fn plus(mut self, amount: Decimal, span: Span, fractions: bool) -> Option<Self> {
        let whole = amount.trunc().to_i64()?;
        match span {
            Span::Year | Span::Month if self.kind == MomentKind::Time => None,
            Span::Year => self.plus_months(whole.checked_mul(12)?),
            Span::Month if self.precision == Precision::Year => self.plus_months(whole / 12 * 12),
            Span::Month => self.plus_months(whole),
            _ => {
                let nanos = nanos_of(amount, whole, span, fractions)?;
                let seconds = nanos.div_euclid(1_000_000_000);
                let coarse = |unit: i128| i64::try_from(nanos / (1_000_000_000 * unit)).ok();
                const DAY: i128 = 86_400;
                match self.precision {
                    Precision::Year => {
                        return self.plus_months(coarse(365 * DAY)?.checked_mul(12)?);
                    }
                    Precision::Month => return self.plus_months(coarse(30 * DAY)?),
                    Precision::Day => self.move_by(coarse(DAY)?.checked_mul(DAY_S)?)?,
                    Precision::Hour => self.move_by(coarse(3_600)?.checked_mul(3_600)?)?,
                    Precision::Minute => self.move_by(coarse(60)?.checked_mul(60)?)?,
                    Precision::Second => {
                        let rest = u32::try_from(nanos.rem_euclid(1_000_000_000)).ok()?;
                        let sum = self.nanos + rest;
                        if rest > 0 {
                            self.digits = self.digits.max(3);
                        }
                        self.nanos = sum % 1_000_000_000;
                        let seconds = i64::try_from(seconds).ok()?;
                        self.move_by(seconds.checked_add(i64::from(sum / 1_000_000_000))?)?;
                    }
                }
                Some(self)
            }
        }
    }

    fn move_by(&mut self, seconds: i64) -> Option<()> {
        let sum = self.seconds().checked_add(seconds)?;
        if self.kind == MomentKind::Time {
            // A day has no end for times.
            self.set_seconds(sum.rem_euclid(DAY_S));
            (self.year, self.month, self.day) = (1, 1, 1);
            return Some(());
        }
        // Far beyond every year that can be written.
        if sum.abs() > 400_000_000_000 {
            return None;
        }
        self.set_seconds(sum);
        (1..=9_999).contains(&self.year).then_some(())
    }

    fn plus_months(mut self, months: i64) -> Option<Self> {
        let at = (i64::from(self.year) * 12 + i64::from(self.month) - 1).checked_add(months)?;
        self.year = i32::try_from(at.div_euclid(12)).ok()?;
        self.month = u8::try_from(at.rem_euclid(12) + 1).ok()?;
        if !(1..=9_999).contains(&self.year) {
            return None;
        }
        self.day = self.day.min(days_of_month(self.year, self.month));
        Some(self)
    }

    /// Digits of the precision: 4, 6, 8 for dates, 10, 12, 14, 17 for dateTimes, 2, 4, 6, 9 for times.
    pub(super) fn digits_known(&self) -> i64 {
        let of_date = match self.precision {
            Precision::Year => 4,
            Precision::Month => 6,
            Precision::Day => 8,
            Precision::Hour => 10,
            Precision::Minute => 12,
            Precision::Second if self.digits == 0 => 14,
            Precision::Second => 17,
        };
        if self.kind == MomentKind::Time {
            of_date - 8
        } else {
            of_date
        }
    }

    /// The first or last moment that it may stand for, written with so many digits; `None` if no
    /// such value has that many. A dateTime without zone is taken to be in any.
    ///
    /// An hour without minutes is its first minute, as in the models of HL7's own engine, which the
    /// published tests follow.
    pub(super) fn boundary(mut self, digits: Option<i64>, high: bool) -> Option<Self> {
        let most = match self.kind {
            MomentKind::Date => 8,
            MomentKind::DateTime => 17,
            MomentKind::Time => 9,
        };
        let digits = digits.unwrap_or(most);
        let full = if self.kind == MomentKind::Time {
            digits + 8
        } else {
            digits
        };
        let target = match full {
            4 => Precision::Year,
            6 => Precision::Month,
            8 => Precision::Day,
            10 => Precision::Hour,
            12 => Precision::Minute,
            14 | 17 => Precision::Second,
            _ => return None,
        };
        if digits > most || (self.kind == MomentKind::Time && target < Precision::Hour) {
            return None;
        }
        if self.precision < Precision::Month && high {
            self.month = 12;
        }
        if self.precision < Precision::Day && high {
            self.day = days_of_month(self.year, self.month);
        }
        if self.precision < Precision::Hour && high {
            (self.hour, self.minute) = (23, 59);
        }
        if self.precision < Precision::Second && high {
            self.second = 59;
        }
        if self.digits < 3 && high && (self.precision < Precision::Second || self.digits == 0) {
            self.nanos = 999_000_000;
        }
        self.precision = target;
        let offset = self.offset;
        self.cut(target);
        if target == Precision::Second {
            self.digits = if full == 17 { self.digits.max(3) } else { 0 };
            if full == 14 {
                self.nanos = 0;
            }
        }
        if self.kind == MomentKind::DateTime && target >= Precision::Hour {
            self.offset = offset.or(Some(if high { -12 * 60 } else { 14 * 60 }));
        }
        Some(self)
    }
}

fn nanos_of(amount: Decimal, whole: i64, span: Span, fractions: bool) -> Option<i128> {
    let unit: i128 = match span {
        Span::Week => 7 * 86_400_000_000_000,
        Span::Day => 86_400_000_000_000,
        Span::Hour => 3_600_000_000_000,
        Span::Minute => 60_000_000_000,
        Span::Second if fractions => {
            let nanos = amount.checked_mul(Decimal::from(1_000_000_000))?;
            return nanos.trunc().to_i128();
        }
        Span::Second => 1_000_000_000,
        Span::Millisecond => 1_000_000,
        Span::Year | Span::Month => return None,
    };
    i128::from(whole).checked_mul(unit)
}

pub(super) const fn days_of_month(year: i32, month: u8) -> u8 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn digits(text: &str, count: usize) -> Option<u32> {
    let all_digits = text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    if all_digits { text.parse().ok() } else { None }
}

fn small(text: &str, low: u8, high: u8) -> Option<u8> {
    let n = u8::try_from(digits(text, 2)?).ok()?;
    (low..=high).contains(&n).then_some(n)
}

/// The time of day and its offset in minutes.
fn zone(text: &str) -> Option<(&str, Option<i16>)> {
    if let Some(clock) = text.strip_suffix('Z') {
        return Some((clock, Some(0)));
    }
    let Some(at) = text.rfind(['+', '-']) else {
        return Some((text, None));
    };
    let (clock, zone) = text.split_at_checked(at)?;
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let minutes = i16::from(small(hours, 0, 14)?) * 60 + i16::from(small(minutes, 0, 59)?);
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    Some((clock, Some(sign * minutes)))
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind != MomentKind::Time {
            write!(f, "{:04}", self.year)?;
            if self.precision >= Precision::Month {
                write!(f, "-{:02}", self.month)?;
            }
            if self.precision >= Precision::Day {
                write!(f, "-{:02}", self.day)?;
            }
            if self.precision >= Precision::Hour {
                f.write_str("T")?;
            }
        }
        if self.precision >= Precision::Hour {
            write!(f, "{:02}", self.hour)?;
        }
        if self.precision >= Precision::Minute {
            write!(f, ":{:02}", self.minute)?;
        }
        if self.precision >= Precision::Second {
            write!(f, ":{:02}", self.second)?;
            if self.digits > 0 {
                let digits = format!("{:09}", self.nanos);
                let kept = digits.get(..usize::from(self.digits)).unwrap_or(&digits);
                write!(f, ".{kept}")?;
            }
        }
        match self.offset {
            Some(0) => f.write_str("Z"),
            Some(offset) => {
                let sign = if offset < 0 { '-' } else { '+' };
                let minutes = offset.unsigned_abs();
                write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
            }
            None => Ok(()),
        }
    }
}
