use super::*;

fn base(value: &str, code: &str) -> (String, String) {
    let (value, unit) = canonical(value, code).unwrap_or_else(|| panic!("{value} {code}"));
    (value.to_string(), unit.base().to_owned())
}

#[test]
fn equal_quantities_are_equal_in_base_units() {
    for ((value, code), (other, other_code)) in [
        (("1", "g"), ("1000", "mg")),
        (("1.0", "g/dL"), ("10", "g/L")),
        (("1", "[lb_av]"), ("453.59237", "g")),
        (("1", "[in_i]"), ("2.54", "cm")),
        (("32", "[degF]"), ("0", "Cel")),
        (("98.6", "[degF]"), ("37", "Cel")),
        (("37", "Cel"), ("310.15", "K")),
        (("1", "wk"), ("7", "d")),
        (("1", "mm[Hg]"), ("133.322", "Pa")),
        (("1", "N"), ("1", "kg.m/s2")),
        (("1", "kat"), ("1", "mol/s")),
        (("1", "%"), ("0.01", "1")),
        (("1", "10*3/uL"), ("1", "10*9/L")),
        (("5", "{beats}/min"), ("5", "/min")),
        (("1", "[IU]/mL"), ("1000", "[iU]/L")),
        (("1", "m[H2O]"), ("100", "cm[H2O]")),
    ] {
        assert_eq!(base(value, code), base(other, other_code), "{value} {code}");
    }
}

#[test]
fn base_units_are_written_one_way() {
    for (code, want) in [
        ("1", "1"),
        ("{score}", "1"),
        ("kg/m3", "g.m-3"),
        ("m/s2", "m.s-2"),
        ("s-2.m", "m.s-2"),
        ("[iU]/L", "[iU].m-3"),
        ("dB[V]", "B[V]"),
    ] {
        assert_eq!(
            unit(code).map(|u| u.base().to_owned()).as_deref(),
            Some(want),
            "{code}"
        );
    }
}

#[test]
fn what_is_no_unit() {
    let long = "m.".repeat(200) + "m";
    let deep = "(".repeat(120) + "m" + &")".repeat(120);
    for code in [
        "",
        "gM",
        "mgs",
        "kilogram",
        " g",
        "m g",
        "[s]",
        "m/",
        "m//s",
        "µg",
        "Cel2",
        "0",
        "m{",
        "-1",
        "m999999999999",
        &long,
    ] {
        assert!(!is_valid(code), "{code}");
    }
    assert!(is_valid(&deep));
}

#[test]
fn different_kinds_do_not_compare() {
    for (a, b) in [
        ("m", "s"),
        ("[iU]", "[arb'U]"),
        ("B[V]", "V"),
        ("dB[V]", "dB[W]"),
    ] {
        let (a_unit, b_unit) = (unit(a).unwrap(), unit(b).unwrap());
        assert!(!a_unit.is_comparable(&b_unit), "{a} {b}");
    }
    assert_eq!(convert(Number::from_i64(1), "m", "s"), None);
}

#[test]
fn conversions() {
    for (value, from, to, want) in [
        ("1", "g", "mg", "1000"),
        ("20", "dB[V]", "B[V]", "2"),
        ("100", "Cel", "[degF]", "212"),
        ("0.5", "mol/L", "mmol/mL", "0.5"),
        ("1", "[ft_i]", "cm", "30.48"),
    ] {
        let value = Number::parse(value).unwrap();
        assert_eq!(
            convert(value, from, to).map(|n| n.to_string()).as_deref(),
            Some(want),
            "{from} {to}"
        );
    }
}

#[test]
fn any_text_is_answered() {
    use proptest::prelude::*;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let unitish = "([a-zA-Z%\\[\\]{}'_*^/.()0-9+-]|mg|dL|Cel|10\\*|\\[degF\\]){0,40}";
    runner
        .run(
            &(unitish, "-?[0-9]{1,40}(\\.[0-9]{0,40})?([eE]-?[0-9]{1,9})?"),
            |(code, value)| {
                let _ = canonical(&value, &code);
                Ok(())
            },
        )
        .unwrap();
    runner
        .run(&any::<String>(), |code| {
            let _ = unit(&code);
            Ok(())
        })
        .unwrap();
}
