use super::text::narrative;
use super::{Words, indexed, of_narrative, of_resource, words};
use crate::json;

#[test]
fn a_narrative_is_its_text() {
    let div = "<div xmlns=\"x\"><!-- <b>no</b> --><p>Caf&#233;</p>low-grade &amp; <b>Fever</b>&nbsp;&#x41;</div>";
    assert_eq!(
        words(&narrative(div)),
        ["cafe", "low", "grade", "fever", "a"]
    );
    assert_eq!(of_narrative(div), " cafe low grade fever a \n");
    assert_eq!(of_narrative("<div/>"), "");
    assert_eq!(
        indexed(&of_narrative("<div>a b a b</div>")),
        ["a", "a b", "b", "b a"]
    );
    // The last word of one narrative and the first of the next are no neighbours.
    assert_eq!(
        indexed(" a b \n c d \n"),
        ["a", "a b", "b", "c", "c d", "d"]
    );
}

#[test]
fn words_are_joined() {
    let word = |w: &str| Words::run(vec![w.to_owned()], false);
    for (text, want) in [
        ("Heart", word("heart")),
        (
            "heart attack",
            Words::All(vec![word("heart"), word("attack")]),
        ),
        ("a or b", Words::Either(vec![word("a"), word("b")])),
        (
            "a,b AND c",
            Words::Either(vec![word("a"), Words::All(vec![word("b"), word("c")])]),
        ),
        (
            "not (a or b*) c",
            Words::All(vec![
                Words::Not(Box::new(Words::Either(vec![
                    word("a"),
                    Words::run(vec!["b".to_owned()], true),
                ]))),
                word("c"),
            ]),
        ),
        (
            "\"heart attack\"",
            Words::run(vec!["heart".to_owned(), "attack".to_owned()], false),
        ),
    ] {
        assert_eq!(Words::parse(text).unwrap(), want, "{text}");
    }
    for bad in [
        "", "a and", "or a", "(a", "a)", "\"a", "\"-\"", "--", "a or", ",a",
    ] {
        assert!(Words::parse(bad).is_err(), "{bad}");
    }
    assert!(Words::parse(&"(".repeat(1_000)).is_err());
    assert!(Words::parse(&"not ".repeat(1_000)).is_err());
}

#[test]
fn runs_stand_in_texts() {
    let pattern = |text: &str| match Words::parse(text).unwrap() {
        Words::Run(run) => run.pattern(),
        other => panic!("{other:?}"),
    };
    assert_eq!(pattern("Heart"), " heart ");
    assert_eq!(pattern("hea*"), " hea");
    assert_eq!(pattern("\"a heart, note\""), " a heart note ");
}

#[test]
fn a_resource_is_its_texts() {
    let text = r#"{"resourceType":"Basic","text":{"div":"<div>Big</div>"},"id":"b7",
        "code":{"coding":[{"system":"http://e.org/x","code":"29463-7","display":"Body Weight"}],"text":"Body Weight"},
        "note":[{"text":"No fever today"},{"text":"--"}],"n":3,"subject":{"reference":"Patient/7","display":"Zoë"},
        "section":[{"text":{"div":"<div>A <b>section</b></div>"}}],
        "contained":[{"resourceType":"Patient","name":[{"family":"Inside"}]}]}"#;
    let document = json::parse(text.as_bytes(), 64).unwrap();
    assert_eq!(
        of_resource(document.root()),
        " 29463 7 \n body weight \n no fever today \n zoe \n a section \n"
    );
}
