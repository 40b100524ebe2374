//! What is made up to be let in: assertions that nobody signed for us, headers that say who somebody is,
//! and names of tenants that look alike.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::elsewhere::{Pair, set};
use super::oauth::FORM;
use super::people::administrator;
use super::world::{Answer, ROOT, World};

fn coded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// A client that signs with a key, in two tenants.
struct Signing {
    world: World,
    key: Pair,
    id: String,
}

impl Signing {
    fn new() -> Self {
        let world = World::new();
        let key = Pair::es384("one");
        let mut id = String::new();
        for tenant in ["hillside", "lakeside"] {
            world.tenant(tenant);
            let draft = json!({ "name": "b", "scopes": ["system/*.rs"], "jwks": set(&[&key]) });
            let line = format!("POST /admin/v1/tenants/{tenant}/clients");
            id = world.admin(&line, &draft).status(201).text("/client_id");
        }
        Self { world, key, id }
    }

    fn now(&self) -> i64 {
        base::Clock::now(&*self.world.clock).as_secs()
    }

    fn claims(&self, jti: &str) -> Value {
        json!({
            "iss": self.id, "sub": self.id, "aud": format!("{ROOT}/t/lakeside/auth/token"),
            "exp": self.now() + 200, "iat": self.now(), "jti": jti,
        })
    }

    fn ask(&self, tenant: &str, assertion: &str) -> Answer {
        let kind = "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
        let body = format!(
            "grant_type=client_credentials&client_assertion_type={kind}&client_assertion={assertion}"
        );
        let line = format!("POST /t/{tenant}/auth/token");
        self.world.ask(&line, &[FORM], body)
    }

    fn refused(&self, about: &str, assertion: &str) {
        let answer = self.ask("lakeside", assertion);
        assert_eq!(answer.code, 401, "{about}");
        answer.at("/error", "invalid_client");
    }
}

#[test]
fn assertions_that_nobody_signed_for_this_token_url_now() {
    let signing = Signing::new();
    let changed = |jti: &str, change: &dyn Fn(&mut Value)| {
        let mut claims = signing.claims(jti);
        change(&mut claims);
        signing.key.sign(&claims)
    };
    let now = signing.now();
    let token_url = format!("{ROOT}/t/lakeside/auth/token");
    for (about, change) in [
        (
            "not yet valid",
            (&|c: &mut Value| c["nbf"] = json!(now + 120)) as &dyn Fn(&mut Value),
        ),
        ("valid as text", &|c| c["nbf"] = json!("soon")),
        ("made in time to come", &|c| c["iat"] = json!(now + 120)),
        ("ended", &|c| c["exp"] = json!(now - 120)),
        ("without an end", &|c| {
            drop(c.as_object_mut().unwrap().remove("exp"));
        }),
        ("another audience", &|c| {
            c["aud"] = json!("https://other.example/token");
        }),
        ("another tenant", &|c| {
            c["aud"] = json!(format!("{ROOT}/t/hillside/auth/token"));
        }),
        ("the tenant in capitals", &|c| {
            c["aud"] = json!(token_url.replace("lake", "LAKE"));
        }),
        ("a beginning of the audience", &|c| {
            c["aud"] = json!(format!("{ROOT}/t/lakeside"));
        }),
        ("no audience", &|c| c["aud"] = json!([])),
        ("of somebody else", &|c| {
            c["iss"] = json!("0000000000000000");
        }),
        ("without a name", &|c| c["jti"] = json!("")),
    ] {
        signing.refused(about, &changed(about, change));
    }
    let several = changed("several", &|c| {
        c["aud"] = json!(["https://other.example", token_url]);
    });
    signing.ask("lakeside", &several).status(200);
    // Once, and at one tenant.
    let once = signing.key.sign(&signing.claims("once"));
    signing.ask("hillside", &once).status(401);
    signing.ask("lakeside", &once).status(200);
    signing.refused("again", &once);
    let (head, _) = once.rsplit_once('.').unwrap();
    signing.refused("again, cut", head);
}

#[test]
fn assertions_that_confuse_algorithms() {
    let signing = Signing::new();
    let claims = signing.claims("x");
    let body = coded(&claims);
    let public = &signing.key.public;
    for alg in ["none", "None", "nONE", "", "HS256"] {
        let header = coded(&json!({ "alg": alg, "typ": "JWT", "kid": "one" }));
        signing.refused(alg, &format!("{header}.{body}."));
    }
    // What is public is nobody's secret.
    let x = URL_SAFE_NO_PAD
        .decode(public["x"].as_str().unwrap())
        .unwrap();
    for secret in [x, public.to_string().into_bytes(), Vec::new()] {
        for alg in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            let mut header = Header::new(alg);
            header.kid = Some("one".to_owned());
            let key = EncodingKey::from_secret(&secret);
            let forged = jsonwebtoken::encode(&header, &claims, &key).unwrap();
            signing.refused("a secret", &forged);
        }
    }
    // The signature of one algorithm is none of another, and a key that comes along is nobody's.
    let good = signing.key.sign(&claims);
    let signature = good.rsplit_once('.').unwrap().1;
    for alg in ["RS384", "ES256", "RS256", "PS384", "EdDSA"] {
        let header = coded(&json!({ "alg": alg, "kid": "one" }));
        signing.refused(alg, &format!("{header}.{body}.{signature}"));
    }
    let own = Pair::es384("one");
    let mut header = json!({ "alg": "ES384", "kid": "one", "jwk": own.public });
    header["jku"] = json!("https://evil.example/jwks");
    let forged = own.sign(&claims);
    let signature = forged.rsplit_once('.').unwrap().1;
    signing.refused("a key along", &forged);
    signing.refused(
        "a key in it",
        &format!("{}.{body}.{signature}", coded(&header)),
    );
    let short = Pair::es256("one").sign(&claims);
    signing.refused("a shorter curve", &short);
    signing.ask("lakeside", &good).status(200);
}

#[test]
fn headers_do_not_say_who_somebody_is() {
    let (world, owner) = World::clinic();
    let _admin = administrator(&world, "lakeside");
    let claims = [
        ("x-remote-user", "root@clinic"),
        ("remote-user", "root@clinic"),
        ("x-forwarded-user", "root@clinic"),
        ("x-forwarded-email", "root@clinic"),
        ("x-user-id", "1"),
        ("x-authenticated-userid", "1"),
        ("x-auth-request-user", "root@clinic"),
        ("x-tenant", "lakeside"),
        ("x-tenant-id", "lakeside"),
        ("x-forwarded-authorization", owner.as_str()),
        ("x-original-authorization", owner.as_str()),
        ("proxy-authorization", owner.as_str()),
        ("x-access-token", owner.as_str()),
    ];
    for line in [
        "GET /t/lakeside/fhir/Patient",
        "GET /t/lakeside/auth/account",
        "GET /admin/v1/tenants",
    ] {
        world
            .ask(line, &claims, "")
            .refused(401, "credentials-missing");
    }
    // Nor which address is meant, nor what is done there.
    let read = |name: &str, value: &str| {
        let headers = [("authorization", owner.as_str()), (name, value)];
        world.ask("GET /t/lakeside/fhir/Patient", &headers, "")
    };
    for (name, value) in [
        ("x-original-url", "/admin/v1/tenants"),
        ("x-rewrite-url", "/admin/v1/tenants"),
        ("x-http-method-override", "DELETE"),
        ("x-method-override", "POST"),
        ("x-forwarded-prefix", "/t/hillside"),
    ] {
        read(name, value).status(200).at("/resourceType", "Bundle");
    }
    // Two of one are no one's, whichever of them is good.
    for (first, second) in [("Bearer x", owner.as_str()), (owner.as_str(), "Bearer x")] {
        let headers = [("authorization", first), ("authorization", second)];
        world
            .ask("GET /t/lakeside/fhir/Patient", &headers, "")
            .refused(401, "credentials-invalid");
    }
    let operator = world.operator.clone();
    let headers = [
        ("authorization", owner.as_str()),
        ("authorization", &operator),
    ];
    world
        .ask("GET /admin/v1/tenants", &headers, "")
        .refused(401, "credentials-invalid");
}

#[test]
fn names_of_tenants_that_look_alike_are_none() {
    let (world, owner) = World::clinic();
    let headers = [("authorization", owner.as_str())];
    for name in [
        "Lakeside",
        "LAKESIDE",
        "lakeSide",
        // A wide l, an i without its dot, one with an accent, a Cyrillic a, and what is not seen.
        "%EF%BD%8Cakeside",
        "lakes%C4%B1de",
        "lakes%C3%ADde",
        "l%D0%B0keside",
        "lakeside%E2%80%8B",
        "lakeside%CC%88",
        "lakeside%00",
        "lakeside%20",
        "lakeside.",
        "lakeside%2F",
        "lakeside%2e",
        "./lakeside",
        "%6cakeside%2f..%2flakeside",
    ] {
        for path in ["fhir/Patient", "fhir/metadata", "auth/login", "auth/token"] {
            let method = if path == "auth/token" { "POST" } else { "GET" };
            let line = format!("{method} /t/{name}/{path}");
            let answer = world.ask(&line, &headers, "");
            assert!(matches!(answer.code, 400 | 404), "{line}: {}", answer.code);
        }
    }
}

#[test]
fn tenants_tokens_are_nothing_to_the_operators_api() {
    let (world, owner) = World::clinic();
    let (id, secret) = world.client_secret("lakeside", "system/*.cruds");
    let pair = format!("{id}:{secret}");
    let basic = format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode(pair)
    );
    let headers = [FORM, ("authorization", basic.as_str())];
    let line = "POST /t/lakeside/auth/token";
    let token = world.ask(line, &headers, "grant_type=client_credentials");
    let token = format!("Bearer {}", token.status(200).text("/access_token"));
    let admin = administrator(&world, "lakeside");
    for line in [
        "GET /admin/v1/tenants",
        "GET /admin/v1/tenants/lakeside/clients",
        "GET /admin/v1/tenants/lakeside/registrations",
        "POST /admin/v1/tenants/lakeside/suspend",
        "GET /metrics",
    ] {
        for who in [&owner, &basic, &token] {
            let headers = [("authorization", who.as_str())];
            world
                .ask(line, &headers, "")
                .refused(401, "credentials-invalid");
        }
        admin.ask(line, &[], "").refused(401, "credentials-missing");
    }
    // And the operator's nothing to a tenant.
    world
        .fhir(&world.operator, "GET Patient", "")
        .refused(401, "credentials-invalid");
}
