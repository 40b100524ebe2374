use super::{cut, date, fold::fold, number};

#[test]
fn strings_fold() {
    for (text, want) in [
        ("", ""),
        ("abc", "abc"),
        ("  John   SMITH\t", "john smith"),
        ("Müller", "muller"),
        ("MU\u{308}LLER", "muller"),
        ("Straße", "strasse"),
        ("GROẞ", "gross"),
        ("ﬁne", "fine"),
        ("İstanbul", "istanbul"),
        ("Σίσυφος", "σισυφοσ"),
        ("Łódź", "lodz"),
        ("Ærø Œuvre", "aero oeuvre"),
        ("ISPARTA ısparta", "isparta isparta"),
        ("ＡＢＣ１２", "abc12"),
        ("Đorđe Þór", "dorde thor"),
        ("e\u{301}\u{323}", "e"),
        ("a\u{a0}\u{2003}b", "a b"),
        ("Ⅷ ℡", "viii tel"),
        ("山田", "山田"),
        ("O'Neil", "oneil"),
        ("O’Neil", "oneil"),
        ("O´Neil", "oneil"),
        ("Kaʻiulani", "kaiulani"),
        ("Smith-Jones", "smithjones"),
        ("Smith\u{2011}Jones", "smithjones"),
        ("Smith - Jones", "smith jones"),
        ("123, Main St.", "123 main st"),
        ("c/o", "co"),
        ("a\u{200b}b", "ab"),
        ("A+ <5", "a+ <5"),
        ("-", "-"),
        (" ? ! ", "? !"),
        ("¿Qué?", "que"),
        ("ジョン・スミス", "ションスミス"),
    ] {
        assert_eq!(fold(text), want, "{text:?}");
        assert_eq!(fold(want), want, "{want:?} is folded");
    }
}

#[test]
fn words_keep_their_punctuation() {
    assert_eq!(super::fold::words("  Fever,  COUGH/é "), "fever, cough/e");
    assert_eq!(super::fold::words("ab c"), "ab c");
}

#[test]
fn beginnings_have_no_spaces() {
    for (text, want) in [
        ("Smith", "smith"),
        ("Smith-Jones", "smithjones"),
        ("smith  jones", "smithjones"),
        ("St. John-Smith", "stjohnsmith"),
        ("- -", "--"),
        ("-", "-"),
    ] {
        assert_eq!(super::fold::joined(&fold(text)), want, "{text:?}");
    }
}

#[test]
fn a_name_has_later_words() {
    let check = |text: &str, want: &[&str]| {
        let found: Vec<_> = super::fold::later_words(text).collect();
        assert_eq!(found, want, "{text:?}");
    };
    check("Smith", &[]);
    check("Carreño Quinones", &["Quinones"]);
    check(" van  de-Groot ", &["de-Groot ", "Groot "]);
    check("-", &[]);
    let long = "a ".repeat(1_000);
    assert_eq!(super::fold::later_words(&long).count(), 8);
}

#[test]
fn long_text_is_cut_between_characters() {
    assert_eq!(cut("añb", 2), "a");
    assert_eq!(cut("añb", 3), "añ");
    assert_eq!(cut("añb", 9), "añb");
}

#[test]
fn numbers_have_the_precision_they_were_written_with() {
    for (text, low, high) in [
        ("5.4", 5.35, 5.45),
        ("5.40", 5.395, 5.405),
        ("100", 99.5, 100.5),
        ("1e2", 95.0, 105.0),
        ("1E2", 95.0, 105.0),
        ("1.00e2", 99.5, 100.5),
        ("5.4e-3", 5.35e-3, 5.45e-3),
        ("5e-1", 0.45, 0.55),
        ("0", -0.5, 0.5),
        ("0.0", -0.05, 0.05),
        ("-5.4", -5.45, -5.35),
        ("-0.5", -0.55, -0.45),
        ("1000", 999.5, 1000.5),
        ("+7", 6.5, 7.5),
        ("007", 6.5, 7.5),
    ] {
        let range = number::implied(text).unwrap();
        assert_eq!((range.low, range.high), (low, high), "{text}");
    }
    for bad in [
        "", "-", ".5", "5.", "1e", "e2", "1e+", "1e--1", "0x1", "NaN", "inf", "1 ", "٣",
    ] {
        assert!(number::implied(bad).is_none(), "{bad:?}");
        assert!(number::point(bad).is_none(), "{bad:?}");
    }
    assert_eq!(number::point("-1.5e1"), Some(-15.0));
}

#[test]
fn dates_cover_what_they_name() {
    for (text, low, high) in [
        (
            "2013",
            "2013-01-01T00:00:00.000Z",
            "2014-01-01T00:00:00.000Z",
        ),
        (
            "2013-12",
            "2013-12-01T00:00:00.000Z",
            "2014-01-01T00:00:00.000Z",
        ),
        (
            "2012-02-29",
            "2012-02-29T00:00:00.000Z",
            "2012-03-01T00:00:00.000Z",
        ),
        (
            "2013-01-14T10",
            "2013-01-14T10:00:00.000Z",
            "2013-01-14T11:00:00.000Z",
        ),
        (
            "2013-01-14T10:00",
            "2013-01-14T10:00:00.000Z",
            "2013-01-14T10:01:00.000Z",
        ),
        (
            "2013-01-14T10:00:05",
            "2013-01-14T10:00:05.000Z",
            "2013-01-14T10:00:06.000Z",
        ),
        (
            "2013-01-14T10:00:05.25Z",
            "2013-01-14T10:00:05.250Z",
            "2013-01-14T10:00:05.260Z",
        ),
        (
            "2013-01-14T23:30+02:00",
            "2013-01-14T21:30:00.000Z",
            "2013-01-14T21:31:00.000Z",
        ),
        (
            "2013-01-14T23:30:00-05:30",
            "2013-01-15T05:00:00.000Z",
            "2013-01-15T05:00:01.000Z",
        ),
        (
            "2016-12-31T23:59:60Z",
            "2017-01-01T00:00:00.000Z",
            "2017-01-01T00:00:01.000Z",
        ),
        (
            "9999",
            "9999-01-01T00:00:00.000Z",
            "10000-01-01T00:00:00.000Z",
        ),
    ] {
        let range = date::range(text).unwrap_or_else(|| panic!("{text}"));
        let print = |us| base::Micros(us).instant().to_string();
        assert_eq!(
            (print(range.low).as_str(), print(range.high).as_str()),
            (low, high),
            "{text}"
        );
    }
    for bad in [
        "",
        "13",
        "2013-1",
        "2013-13",
        "2013-02-29",
        "2013-00",
        "2013-01-32",
        "2013-01-14T",
        "2013T10:00",
        "2013-01T10:00",
        "2013-01-14T24:00",
        "2013-01-14T10:60",
        "2013-01-14T10:00+2",
        "2013-01-14T10:00:61Z",
        "2013-01-14T10:00:00.Z",
        "2013-01-14T10:00ZZ",
        "0000",
        "2013-01-14-1",
        "-013",
        "2013-01-14 10:00",
        "2013-01-14T10:00+15:00",
        "२०१३",
    ] {
        assert!(date::range(bad).is_none(), "{bad:?}");
    }
}

#[test]
fn approximate_dates_widen_with_distance() {
    let now = base::Micros(1_000_000);
    let past = date::approximate(
        crate::search::query::Range {
            low: 0,
            high: 100_000,
        },
        now,
    );
    assert_eq!((past.low, past.high), (-90_000, 190_000));
    let present = date::approximate(
        crate::search::query::Range {
            low: 0,
            high: 2_000_000,
        },
        now,
    );
    assert_eq!((present.low, present.high), (0, 2_000_000));
}

#[test]
fn ranges_are_converted_between_units() {
    use crate::search::query::Range;
    let of = |low, high, from, to| {
        number::in_unit(Range { low, high }, from, to).map(|r| (r.low, r.high))
    };
    assert_eq!(of(0.95, 1.05, "g", "mg"), Some((950.0, 1_050.0)));
    assert_eq!(of(1_000.0, 1_000.0, "mg", "g"), Some((1.0, 1.0)));
    assert_eq!(of(5.4, 5.4, "mg/dL", "g/L"), Some((0.054, 0.054)));
    assert_eq!(of(1.0, 2.0, "g", "m"), None);
    assert_eq!(of(1.0, 2.0, "nonsense", "also"), None);
}
