//! Time as a parameter. Nothing below `server` reads a clock by itself.

use std::fmt;

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Micros(pub i64);

/// A source of wall-clock and monotonic time.
pub trait Clock: Send + Sync + 'static {
    /// Wall-clock time.
    fn now(&self) -> Micros;
    /// A clock that never goes back, for durations and deadlines; its zero is arbitrary.
    fn monotonic(&self) -> Micros;
}

const DAY_US: i64 = 86_400_000_000;

impl Micros {
    /// The same instant cut to whole milliseconds, the precision of every stored timestamp.
    pub const fn to_millis_precision(self) -> Self {
        Self(self.0.div_euclid(1000) * 1000)
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This instant plus a number of seconds; saturates.
    pub const fn plus_secs(self, secs: i64) -> Self {
        Self(self.0.saturating_add(secs.saturating_mul(1_000_000)))
    }

    /// Year, month 1..=12 and day 1..=31 of this instant in UTC (proleptic Gregorian).
    pub const fn civil(self) -> (i64, u8, u8) {
        civil_from_days(self.0.div_euclid(DAY_US))
    }

    /// The FHIR `instant` with milliseconds and `Z`: `2026-11-22T01:02:03.456Z`.
    pub fn instant(self) -> Instant {
        Instant(self)
    }

    /// The IMF-fixdate of RFC 9110 for `Last-Modified`: `Sun, 22 Nov 2026 01:02:03 GMT`.
    pub fn http_date(self) -> HttpDate {
        HttpDate(self)
    }

    /// Microseconds since the epoch of a UTC civil date and time of day.
    pub const fn from_civil(year: i64, month: u8, day: u8, micros_of_day: i64) -> Self {
        Self(days_from_civil(year, month, day) * DAY_US + micros_of_day)
    }
}

impl fmt::Debug for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.instant())
    }
}

/// Displays as a FHIR instant.
#[derive(Clone, Copy, Debug)]
pub struct Instant(Micros);

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (y, m, d) = self.0.civil();
        let of_day = self.0.0.rem_euclid(DAY_US) / 1000;
        let (h, min) = (of_day / 3_600_000, of_day / 60_000 % 60);
        let (s, ms) = (of_day / 1000 % 60, of_day % 1000);
        if !(0..10_000).contains(&y) {
            return write!(f, "{y:04}-{m:02}-{d:02}T{h:02}:{min:02}:{s:02}.{ms:03}Z");
        }
        for part in [two(y / 100), two(y % 100), "-", two(m.into()), "-"] {
            f.write_str(part)?;
        }
        for part in [two(d.into()), "T", two(h), ":", two(min), ":", two(s), "."] {
            f.write_str(part)?;
        }
        let last = two(ms % 10);
        for part in [two(ms / 10), last.get(1..).unwrap_or(""), "Z"] {
            f.write_str(part)?;
        }
        Ok(())
    }
}

/// Displays as an HTTP date.
#[derive(Clone, Copy, Debug)]
pub struct HttpDate(Micros);

impl fmt::Display for HttpDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
        const MONTHS: [&str; 12] = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ];
        let (y, m, d) = self.0.civil();
        let weekday = self.0.0.div_euclid(DAY_US).rem_euclid(7);
        let s = self.0.0.rem_euclid(DAY_US) / 1_000_000;
        let weekday = usize::try_from(weekday)
            .ok()
            .and_then(|i| DAYS.get(i))
            .unwrap_or(&"");
        let month = MONTHS.get(usize::from(m).wrapping_sub(1)).unwrap_or(&"");
        let (h, min, s) = (s / 3600, s / 60 % 60, s % 60);
        if !(0..10_000).contains(&y) {
            return write!(
                f,
                "{weekday}, {d:02} {month} {y:04} {h:02}:{min:02}:{s:02} GMT"
            );
        }
        for part in [weekday, ", ", two(d.into()), " ", month, " "] {
            f.write_str(part)?;
        }
        for part in [two(y / 100), two(y % 100), " ", two(h), ":", two(min), ":"] {
            f.write_str(part)?;
        }
        for part in [two(s), " GMT"] {
            f.write_str(part)?;
        }
        Ok(())
    }
}

/// The two digits of a number below 100. Dates stand in every answer: this is an eighth of the work
/// of the general way.
fn two(number: i64) -> &'static str {
    const ALL: &str = "000102030405060708091011121314151617181920212223242526272829\
                       303132333435363738394041424344454647484950515253545556575859\
                       606162636465666768697071727374757677787980818283848586878889\
                       90919293949596979899";
    let at = usize::try_from(number).unwrap_or(0) * 2;
    ALL.get(at..at + 2).unwrap_or("")
}

/// Days from the epoch to a civil date (Howard Hinnant's algorithm, public domain).
pub const fn days_from_civil(year: i64, month: u8, day: u8) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let m = month as i64;
    let doy = (153 * (if m > 2 { m - 3 } else { m + 9 }) + 2) / 5 + day as i64 - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    era * 146_097 + doe - 719_468
}

/// The civil date of a day number counted from the epoch.
pub const fn civil_from_days(days: i64) -> (i64, u8, u8) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = (doy - (153 * mp + 2) / 5 + 1) as u8;
    let month = (if mp < 10 { mp + 3 } else { mp - 9 }) as u8;
    let year = yoe + era * 400 + (month <= 2) as i64;
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_print_as_fhir_and_http_want_them() {
        let t = Micros(1_795_310_523_456_789);
        assert_eq!(t.instant().to_string(), "2026-11-22T01:22:03.456Z");
        assert_eq!(t.http_date().to_string(), "Sun, 22 Nov 2026 01:22:03 GMT");
        assert_eq!(Micros(-1).instant().to_string(), "1969-12-31T23:59:59.999Z");
    }

    #[test]
    fn civil_dates_round_trip() {
        for days in -800_000..800_000 {
            let (y, m, d) = civil_from_days(days);
            assert_eq!(days_from_civil(y, m, d), days);
        }
    }
}
