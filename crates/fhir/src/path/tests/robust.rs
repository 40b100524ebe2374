//! Any text and any content is answered: no panic, no unbounded work, no unbounded depth.

use std::cell::Cell;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::super::{
    Environment, Item, Moment, NoHost, Node, PathError, Plan, Rules, Settings, Types,
    function_names, parse,
};
use super::PATIENT;
use crate::definitions::{FhirVersion, Model};
use crate::json;

const OPERATORS: [&str; 24] = [
    "+", "-", "*", "/", "div", "mod", "&", "|", "=", "!=", "~", "!~", "<", "<=", ">", ">=", "and",
    "or", "xor", "implies", "in", "contains", "is", "as",
];

const ATOMS: [&str; 42] = [
    "$this",
    "$index",
    "$total",
    "%resource",
    "%context",
    "%ucum",
    "%x",
    "{}",
    "true",
    "1",
    "0",
    "-1",
    "2147483647",
    "9223372036854775807L",
    "0.5",
    "79228162514264337593543950335",
    "1.0000000000000000000000000001",
    "''",
    "'a'",
    "'(a+)+$'",
    "'[a-z'",
    "'\\u00e9🔥'",
    "'1 \\'mg\\''",
    "@2015",
    "@2015-02-28",
    "@9999-12-31T23:59:59.999+14:00",
    "@0001-01-01T00:00:00-12:00",
    "@T23:59",
    "4 days",
    "1 'mg'",
    "1 'Cel'",
    "99999999999999999999 years",
    "name",
    "name.given",
    "birthDate",
    "deceased",
    "contained",
    "extension",
    "Patient",
    "telecom.value",
    "generalPractitioner",
    "descendants()",
];

const TYPES: [&str; 9] = [
    "Quantity",
    "FHIR.string",
    "System.String",
    "Patient",
    "Resource",
    "Element",
    "HumanName",
    "System.Nothing",
    "code",
];

fn expression() -> impl Strategy<Value = String> {
    let atom = prop::sample::select(&ATOMS[..]).prop_map(str::to_owned);
    atom.prop_recursive(6, 40, 4, |inner| {
        let name = prop::sample::select(function_names());
        prop_oneof![
            (
                inner.clone(),
                prop::sample::select(&OPERATORS[..]),
                inner.clone()
            )
                .prop_map(|(l, o, r)| format!("({l}) {o} ({r})")),
            (inner.clone(), prop::sample::select(&TYPES[..]))
                .prop_map(|(of, ty)| format!("({of} is {ty}) | ({of} as {ty})")),
            (
                inner.clone(),
                name,
                prop::collection::vec(inner.clone(), 0..3)
            )
                .prop_map(|(of, name, args)| format!("({of}).{name}({})", args.join(", "))),
            (inner.clone(), inner.clone()).prop_map(|(of, at)| format!("({of})[{at}]")),
            inner.prop_map(|of| format!("-({of})")),
        ]
    })
}

fn evaluate(text: &str, version: FhirVersion, rules: Rules, steps: u64) -> Option<usize> {
    let types = Types::of(Model::of(version));
    let doc = json::parse(PATIENT.as_bytes(), 64).unwrap();
    let ty = types.of_resource(doc.root()).unwrap();
    let settings = Settings {
        rules,
        variables: &["x"],
    };
    let plan = Plan::compile_as(&types, &settings, Some(ty), Some(ty), text).ok()?;
    let _ = plan.touches(&types);
    let node = Node::new(doc.root(), ty);
    let steps = Cell::new(steps);
    let variables = [("x", vec![Item::Integer(3), Item::Node(node)])];
    let env = Environment {
        now: Moment::parse("2026-11-22T04:50:00.000+05:30"),
        variables: &variables,
        ..Environment::of(&types, node, &steps, &NoHost)
    };
    let items = plan.run(env, &[Item::Node(node)]).ok()?;
    for item in &items {
        let _ = item.to_text(&types);
    }
    Some(items.len())
}

fn runner(cases: u32) -> TestRunner {
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config)
}

#[test]
fn any_expression_is_answered() {
    let rules = prop_oneof![
        Just(Rules::default()),
        Just(Settings::SEARCH.rules),
        Just(Rules {
            ordered: true,
            polymorphic: true,
            search: false
        }),
    ];
    let versions = prop::sample::select(&FhirVersion::ALL[..]);
    let mut runner = runner(3_000);
    let tested = runner.run(
        &(expression(), versions, rules),
        |(text, version, rules)| {
            evaluate(&text, version, rules, 20_000);
            Ok(())
        },
    );
    tested.unwrap();
}

#[test]
fn any_text_is_answered() {
    let damaged = (
        expression(),
        any::<prop::sample::Index>(),
        any::<Option<char>>(),
    );
    let tested = runner(2_000).run(&(damaged, ".{0,60}"), |((text, at, with), junk)| {
        let _ = parse(&junk);
        let mut chars: Vec<char> = text.chars().collect();
        let at = at.index(chars.len().max(1));
        if at < chars.len() {
            chars.remove(at);
        }
        chars.splice(at..at, with);
        let text: String = chars.into_iter().collect();
        evaluate(&text, FhirVersion::R4, Rules::default(), 5_000);
        Ok(())
    });
    tested.unwrap();
}

/// Fits a thread of the server with room to spare.
fn in_a_small_stack(work: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(1 << 20);
    thread.spawn(work).unwrap().join().unwrap();
}

#[test]
fn depth_has_a_bound() {
    in_a_small_stack(|| {
        let run = |text: &str| evaluate(text, FhirVersion::R4, Rules::default(), 1_000_000);
        // As deep as is allowed.
        assert_eq!(run(&format!("active{}", ".not()".repeat(190))), Some(1));
        assert_eq!(
            run(&format!("{}1{}", "(".repeat(60), ")".repeat(60))),
            Some(1)
        );
        assert_eq!(run(&format!("1{}", " + 1".repeat(190))), Some(1));
        let nested = format!("{}true{}", "iif(true, ".repeat(60), ")".repeat(60));
        assert_eq!(run(&nested), Some(1));
        // A union may be long.
        let many: Vec<String> = (0..400).map(|n| format!("'{n}'")).collect();
        assert_eq!(run(&many.join(" | ")), Some(400));
        // Deeper is refused.
        let types = Types::of(Model::of(FhirVersion::R4));
        for text in [
            format!("active{}", ".not()".repeat(900)),
            format!("1{}", " + 1".repeat(900)),
            format!("{}1{}", "(".repeat(5_000), ")".repeat(5_000)),
            format!("{}1", "-".repeat(5_000) + &"(-".repeat(3_000)),
            format!("{}1{}", "iif(true, ".repeat(3_000), ")".repeat(3_000)),
            format!("'{}'", "a".repeat(20_000)),
            // Each level is compiled more than once.
            format!("{}'x'{}", "'x'.repeat(1 | ".repeat(40), ")".repeat(40)),
        ] {
            let settings = Settings::default();
            let refused = Plan::compile_as(&types, &settings, None, None, &text);
            assert_eq!(refused.err(), Some(PathError::TooLarge));
        }
    });
}

#[test]
fn work_has_a_bound() {
    // Each of these would go on for a very long time, or fill the memory.
    for text in [
        "Patient.repeatAll($this)",
        "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'.toChars().defineVariable('a').select(%a).select(%a).select(%a).count()",
        "(1 | 2).repeatAll($this | $this)",
        "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'.toChars().aggregate($total & $total & 'aaaa').length()",
        "'aaaaaaaaaaaaaaaa'.select($this.replace('a', $this).replace('a', $this).replace('a', $this).replace('a', $this).replace('a', $this).replace('a', $this))",
        "descendants().select(%resource.descendants()).select(%resource.descendants()).select(%resource.descendants()).count()",
        "'aaaaaaaa'.toChars().combine('aaaaaaaa'.toChars()).select('aaaaaaaa'.toChars()).select('aaaaaaaa'.toChars()).select('aaaaaaaa'.toChars()).select('aaaaaaaa'.toChars()).select('aaaaaaaa'.toChars()).select('aaaaaaaa'.toChars()).count()",
    ] {
        assert_eq!(
            evaluate(text, FhirVersion::R4, Rules::default(), 300_000),
            None,
            "{text}"
        );
    }
}

/// A search that looks to the end of the text for each of very many matches.
#[test]
fn replacing_has_a_bound() {
    let run = |text: &str, steps| evaluate(text, FhirVersion::R4, Rules::default(), steps);
    let long = |part: &str, times: u32| {
        let double = ".select($this & $this)".repeat(times as usize);
        format!("'{part}'{double}")
    };
    // A million bytes; of a pattern that knows at once, and of those that do not.
    for (pattern, bounded) in [
        ("'A'", false),
        ("'[A-Z]'", false),
        ("'.*[^A-Z]|[A-Z]'", true),
        ("'(A+B)|A'", true),
    ] {
        let text = format!("{}.replaceMatches({pattern}, 'B').length()", long("A", 18));
        assert_eq!(run(&text, 1_000_000).is_none(), bounded, "{pattern}");
    }
    // A pattern of very many states, of which none can be left out.
    let heavy = "'[AB]*A[AB]{3000}C'";
    let text = format!("{}.matches({heavy})", long("AB", 18));
    assert_eq!(run(&text, 1_000_000), None);
    let text = format!("{}.matches({heavy})", long("AB", 4));
    assert_eq!(run(&text, 1_000_000), Some(1));
    // What is usual is far from it.
    let usual = long("Straße 12, 4. Stock; ", 9);
    for pattern in ["'\\\\s+'", "'\\\\w+'", "'[^a-zA-Z0-9]'", "'(?<n>\\\\d+)'"] {
        let text = format!("{usual}.replaceMatches({pattern}, '-').length()");
        assert_eq!(run(&text, 200_000), Some(1), "{pattern}");
    }
}

#[test]
fn what_has_no_order_can_be_sorted() {
    // Partly ordered, and more than a sort does by inserting.
    let dates: Vec<String> = (0..200)
        .map(|n| match n % 4 {
            0 => format!("@{}", 2000 + n % 7),
            1 => format!("@{}-0{}", 2000 + n % 5, 1 + n % 9),
            2 => format!("@{}-01-1{}T10:00:00Z", 2000 + n % 6, n % 10),
            _ => format!("@{}-01-1{}T10:00", 2000 + n % 6, n % 10),
        })
        .collect();
    let combined = format!("{}.sort()", dates.join(".combine(") + &")".repeat(199));
    let nested = format!("({}).sort()", dates.join(" | "));
    for text in [combined, nested] {
        evaluate(&text, FhirVersion::R4, Rules::default(), 1_000_000);
    }
}
