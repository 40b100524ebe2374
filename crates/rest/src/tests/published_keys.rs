//! Clients that publish their keys: looked up, believed for a while, looked up again.

use engine::OutboundError;
use serde_json::json;

use super::elsewhere::{Elsewhere, Pair, reply, set};
use super::world::{Answer, ROOT, World};

const URL: &str = "https://vendor.example/jwks.json";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const KIND: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// The world's clock at its beginning.
const BEGIN: i64 = 1_795_310_523;

struct Vendor {
    world: World,
    elsewhere: Elsewhere,
    id: String,
    later: i64,
    count: usize,
}

impl Vendor {
    fn new() -> Self {
        let (world, elsewhere) = Elsewhere::world();
        world.tenant("lakeside");
        let draft = json!({ "name": "backend", "scopes": ["system/*.rs"], "jwks_uri": URL });
        let made = world
            .admin("POST /admin/v1/tenants/lakeside/clients", &draft)
            .status(201)
            .at("/jwks_uri", URL)
            .at("/jwks", true);
        Self {
            id: made.text("/client_id"),
            world,
            elsewhere,
            later: 0,
            count: 0,
        }
    }

    fn forward_secs(&mut self, secs: i64) {
        self.world.clock.forward_secs(secs);
        self.later += secs;
    }

    /// Asks for a token with an assertion that this pair signs.
    fn token(&mut self, pair: &Pair) -> Answer {
        self.count += 1;
        let assertion = pair.sign(&self.claims(&format!("jti-{}", self.count)));
        self.present(&assertion)
    }

    fn claims(&self, jti: &str) -> serde_json::Value {
        json!({ "iss": self.id, "sub": self.id, "aud": format!("{ROOT}/t/lakeside/auth/token"),
                "exp": BEGIN + self.later + 200, "jti": jti })
    }

    fn present(&self, assertion: &str) -> Answer {
        let body = format!(
            "grant_type=client_credentials&scope=system/*.rs&client_assertion_type={KIND}\
             &client_assertion={assertion}"
        );
        self.world.ask("POST /t/lakeside/auth/token", &[FORM], body)
    }
}

#[test]
fn keys_are_looked_up_once_and_believed_for_a_while() {
    let mut vendor = Vendor::new();
    let (old, new) = (Pair::es384("old"), Pair::es384("new"));
    vendor.elsewhere.serve(URL, &set(&[&old]));
    let granted = vendor.token(&old).status(200);
    let bearer = format!("Bearer {}", granted.text("/access_token"));
    vendor.world.fhir(&bearer, "GET Patient", "").status(200);
    vendor.token(&old).status(200);
    assert_eq!(vendor.elsewhere.count(URL), 1);
    let asked = vendor.elsewhere.last(URL);
    assert!(asked.authorization.is_none() && asked.form.is_none());

    // A new key is found at once, if nobody has just looked.
    vendor.elsewhere.serve(URL, &set(&[&new]));
    vendor.token(&new).status(401);
    assert_eq!(vendor.elsewhere.count(URL), 1, "too early to look again");
    vendor.forward_secs(30);
    vendor.token(&new).status(200);
    assert_eq!(vendor.elsewhere.count(URL), 2);
    // The old one is gone with the old set.
    vendor.token(&old).status(401);
    assert_eq!(vendor.elsewhere.count(URL), 2);
    vendor.forward_secs(30);
    vendor.token(&old).status(401);
    assert_eq!(vendor.elsewhere.count(URL), 3);
    vendor.token(&new).status(200);
}

#[test]
fn a_key_that_was_taken_back_is_none_when_its_set_is_too_old() {
    let mut vendor = Vendor::new();
    let (old, new) = (Pair::es384("old"), Pair::es384("new"));
    vendor.elsewhere.serve(URL, &set(&[&old]));
    vendor.token(&old).status(200);
    vendor.elsewhere.serve(URL, &set(&[&new]));
    vendor.forward_secs(599);
    vendor.token(&old).status(200);
    vendor.forward_secs(1);
    vendor.token(&old).status(401);
    vendor.token(&new).status(200);
}

#[test]
fn a_set_is_kept_no_longer_than_its_header_says() {
    let mut vendor = Vendor::new();
    let (old, new) = (Pair::es384("old"), Pair::es384("new"));
    let mut short = reply(&set(&[&old]));
    short.cache_control = Some("max-age=10".to_owned());
    vendor.elsewhere.answer(URL, move |_| Ok(short.clone()));
    vendor.token(&old).status(200);
    vendor.token(&old).status(200);
    assert_eq!(vendor.elsewhere.count(URL), 1);
    vendor.elsewhere.serve(URL, &set(&[&new]));
    // Not looked up more often than the limit allows, whatever it says.
    vendor.forward_secs(10);
    vendor.token(&old).status(200);
    vendor.forward_secs(20);
    vendor.token(&old).status(401);
    vendor.token(&new).status(200);
}

#[test]
fn it_is_told_that_keys_are_not_to_be_had() {
    let mut vendor = Vendor::new();
    let pair = Pair::es384("k");
    for (n, (answer, told)) in [
        (Err(OutboundError::Name), "the host is not known"),
        (Err(OutboundError::Late), "it took too long"),
        (
            Ok(engine::Reply {
                status: 500,
                ..engine::Reply::default()
            }),
            "the answer has status 500",
        ),
        (
            Ok(reply(&json!({}))),
            "the answer is not what was asked for",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        vendor.elsewhere.answer(URL, move |_| answer.clone());
        let refused = vendor.token(&pair).status(401);
        let refused = refused.at("/error", "invalid_client");
        let about = refused.text("/error_description");
        let wanted = format!("the keys at jwks_uri: vendor.example: {told}");
        assert_eq!(about, wanted);
        // Who asks again soon gets the same answer, and nobody is asked.
        vendor.token(&pair).status(401);
        assert_eq!(vendor.elsewhere.count(URL), n + 1);
        vendor.forward_secs(30);
    }
    vendor.elsewhere.serve(URL, &set(&[&pair]));
    vendor.token(&pair).status(200);
    // What was found stays good for its time when the address does not answer any more.
    vendor
        .elsewhere
        .answer(URL, |_| Err(OutboundError::Connection));
    vendor.forward_secs(60);
    vendor.token(&pair).status(200);
    vendor.token(&Pair::es384("other")).status(401);
    vendor.token(&pair).status(200);
}

#[test]
fn what_is_no_assertion_of_the_client_asks_nobody() {
    let vendor = Vendor::new();
    let pair = Pair::es384("k");
    vendor.elsewhere.serve(URL, &set(&[&pair]));
    let good = vendor.claims("one");
    for (name, value) in [
        ("aud", json!("https://other.example/token")),
        ("exp", json!(BEGIN - 100)),
        ("exp", json!(BEGIN + 4_000)),
        ("nbf", json!(BEGIN + 200)),
        ("iss", json!("other")),
        ("jti", json!("")),
    ] {
        let mut claims = good.clone();
        claims[name] = value;
        vendor.present(&pair.sign(&claims)).status(401);
    }
    let es256 = Pair::es256("k");
    vendor.present(&es256.sign(&good)).status(401);
    assert_eq!(vendor.elsewhere.count(URL), 0);
    // Keys from where the assertion says they are.
    let elsewhere = pair.sign_as(&good, |h| h.jku = Some("https://evil.example/".into()));
    vendor.present(&elsewhere).status(401);
    let own = pair.sign_as(&good, |h| h.jku = Some(URL.into()));
    vendor.present(&own).status(200);
    vendor
        .present(&own)
        .status(401)
        .at("/error", "invalid_client");
    // Of another's signature, and of a good one without a name.
    let forged = Pair::es384("k").sign(&vendor.claims("two"));
    vendor.present(&forged).status(401);
    let unnamed = pair.sign_as(&vendor.claims("three"), |h| h.kid = None);
    vendor.present(&unnamed).status(200);
    assert_eq!(vendor.elsewhere.count("https://evil.example/"), 0);
}

#[test]
fn only_good_addresses_are_registered() {
    let (world, _) = Elsewhere::world();
    world.tenant("lakeside");
    let path = "POST /admin/v1/tenants/lakeside/clients";
    let draft = |url: &str| json!({ "name": "x", "scopes": ["system/*.rs"], "jwks_uri": url });
    world
        .admin(path, &draft("https://inside/jwks"))
        .refused(400, "outbound-refused");
    world
        .admin(path, &draft("http://vendor.example/"))
        .refused(400, "outbound-refused");
    world
        .admin(path, &draft(""))
        .refused(400, "request-invalid");
    let mut both = draft(URL);
    both["jwks"] = set(&[&Pair::es384("k")]);
    world.admin(path, &both).refused(400, "request-invalid");
}
