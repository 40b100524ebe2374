use access::{Directory, HouseKey, OperatorToken, Record};
use base::TenantName;
use fhir::definitions::FhirVersion;

use super::*;

struct Counting;

impl Rng for Counting {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.iter_mut().zip(0u8..).for_each(|(b, i)| *b = i);
    }
}

fn tenant(name: &str, id: u8) -> TenantId {
    let house = HouseKey::new(Secret::new([1; 32]));
    let name = TenantName::new(name).unwrap();
    let directory = Directory::new(&house);
    directory
        .admit(&Record::seal(
            &house,
            name.clone(),
            [id; 16],
            FhirVersion::R4,
            [0; 32],
        ))
        .unwrap();
    directory.resolve(&name).unwrap()
}

fn operator() -> Actor {
    OperatorToken::new("t").authenticate("t").unwrap().actor()
}

fn cursor() -> Cursor {
    Cursor {
        query: "name=Dragos&_count=5".into(),
        position: Position(vec![1, 2, 3]),
        as_of: Seq(77),
        first: Micros(1_000_000_000),
    }
}

#[test]
fn a_cursor_comes_back_and_shows_nothing() {
    let (key, tenant, actor) = (Secret::new([7; 32]), tenant("lakeside", 1), operator());
    let binding = Binding {
        tenant: &tenant,
        actor: &actor,
        of: "search Patient",
    };
    let text = seal(&key, &binding, &cursor(), &Counting).unwrap();
    assert_eq!(
        open(&key, &binding, &text, Micros(1_000_000_001), 600).unwrap(),
        cursor()
    );
    let raw = URL_SAFE_NO_PAD.decode(&text).unwrap();
    assert!(!raw.windows(6).any(|w| w == b"Dragos"));
}

#[test]
fn a_cursor_is_bound_and_ages() {
    let (key, lakeside, actor) = (Secret::new([7; 32]), tenant("lakeside", 1), operator());
    let binding = Binding {
        tenant: &lakeside,
        actor: &actor,
        of: "search Patient",
    };
    let text = seal(&key, &binding, &cursor(), &Counting).unwrap();
    let now = Micros(1_000_000_000);
    let code = |key: &Secret<[u8; 32]>, binding: &Binding<'_>, text: &str, now| {
        open(key, binding, text, now, 600).unwrap_err().code()
    };

    let hillside = tenant("hillside", 2);
    let other_tenant = Binding {
        tenant: &hillside,
        ..binding
    };
    assert_eq!(code(&key, &other_tenant, &text, now), Code::CursorInvalid);
    let other_search = Binding {
        tenant: &lakeside,
        actor: &actor,
        of: "search Observation",
    };
    assert_eq!(code(&key, &other_search, &text, now), Code::CursorInvalid);
    assert_eq!(
        code(&Secret::new([8; 32]), &binding, &text, now),
        Code::CursorInvalid
    );
    assert_eq!(
        code(&key, &binding, &text, now.plus_secs(601)),
        Code::CursorExpired
    );
    for bad in [
        "",
        "A",
        "AAAAAAAAAAAAAAAAAAAAAAAA",
        "ä",
        &format!("{text}A"),
    ] {
        assert_eq!(code(&key, &binding, bad, now), Code::CursorInvalid, "{bad}");
    }
    for at in 0..text.len() {
        let mut altered = text.clone().into_bytes();
        altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(altered).unwrap();
        assert_eq!(
            code(&key, &binding, &altered, now),
            Code::CursorInvalid,
            "{at}"
        );
    }
}
