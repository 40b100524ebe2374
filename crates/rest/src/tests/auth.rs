//! Credentials: tokens, Basic, signed assertions, revocation, and too many failures.
#![expect(
    clippy::disallowed_methods,
    reason = "a test has a folder and draws keys"
)]

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};

use super::world::{Answer, ROOT, World};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

fn token(world: &World, basic: Option<&str>, body: &str) -> Answer {
    let mut headers = vec![FORM];
    headers.extend(basic.map(|b| ("authorization", b)));
    world.ask("POST /t/lakeside/auth/token", &headers, body.to_owned())
}

const GRANT: &str = "grant_type=client_credentials";

#[test]
fn a_client_gets_a_token_that_works_until_it_ends() {
    let (world, who) = World::clinic();
    let granted = token(&world, Some(&who), GRANT)
        .status(200)
        .at("/token_type", "bearer");
    let granted = granted
        .at("/expires_in", 3600)
        .at("/scope", "system/*.cruds");
    let bearer = format!(
        "Bearer {}",
        granted
            .header("cache-control", "no-store")
            .text("/access_token")
    );
    for _ in 0..2 {
        world.fhir(&bearer, "GET Patient", "").status(200);
    }
    world.clock.forward_secs(3601);
    let refused = world
        .fhir(&bearer, "GET Patient", "")
        .refused(401, "token-expired");
    assert!(
        refused
            .header_text("www-authenticate")
            .unwrap()
            .contains("invalid_token")
    );
}

#[test]
fn tokens_are_narrowed_to_what_was_asked_and_held() {
    let world = World::new();
    world.tenant("lakeside");
    let who = world.client("lakeside", "system/Patient.rs system/Observation.cruds");
    let ask = |scope: &str| token(&world, Some(&who), &format!("{GRANT}&scope={scope}"));
    let granted = ask("system/Observation.rs+system/Practitioner.rs+openid").status(200);
    let granted = granted.at("/scope", "system/Observation.rs");
    let bearer = format!("Bearer {}", granted.text("/access_token"));
    world.fhir(&bearer, "GET Observation", "").status(200);
    world
        .fhir(&bearer, "GET Patient", "")
        .refused(403, "scope-missing");
    world
        .fhir(&bearer, "DELETE Observation/x", "")
        .refused(403, "scope-missing");
    ask("system/Practitioner.rs")
        .status(400)
        .at("/error", "invalid_scope");
    ask("system/*.cruds")
        .status(400)
        .at("/error", "invalid_scope");
}

#[test]
fn what_is_not_a_good_token_request_gets_none() {
    let (world, who) = World::clinic();
    let wrong = format!("Basic {}", STANDARD.encode("nobody:secret"));
    for (basic, body, status, error) in [
        (Some(who.as_str()), "", 400, "invalid_request"),
        (
            Some(who.as_str()),
            "grant_type=password",
            400,
            "unsupported_grant_type",
        ),
        (
            Some(who.as_str()),
            "grant_type=client_credentials&client_secret=x",
            400,
            "invalid_request",
        ),
        (
            Some(who.as_str()),
            "grant_type=client_credentials&client_assertion=x",
            400,
            "invalid_request",
        ),
        (Some(wrong.as_str()), GRANT, 401, "invalid_client"),
        (Some("Basic !"), GRANT, 401, "invalid_client"),
        (Some("Bearer x"), GRANT, 401, "invalid_client"),
        (None, GRANT, 401, "invalid_client"),
        (
            None,
            "grant_type=client_credentials&client_assertion=x",
            400,
            "invalid_request",
        ),
    ] {
        token(&world, basic, body)
            .status(status)
            .at("/error", error);
    }
    // In the words of OAuth, at every endpoint of clients.
    let headers = [FORM, ("authorization", who.as_str())];
    let bodies: [&[u8]; 4] = [
        b"grant_type=client_credentials&grant_type=client_credentials",
        b"grant_type=client_credentials&scope=&scope=system/*.rs",
        b"grant_type=&grant_type=client_credentials",
        b"grant_type=client_credentials&scope=\xff",
    ];
    for to in ["token", "introspect", "revoke", "vendor"] {
        for body in bodies {
            let line = format!("POST /t/lakeside/auth/{to}");
            world
                .ask(&line, &headers, body.to_vec())
                .status(400)
                .at("/error", "invalid_request")
                .header("cache-control", "no-store");
        }
    }
    let json = [("content-type", "application/json")];
    world
        .ask("POST /t/lakeside/auth/token", &json, "{}")
        .refused(415, "media-type");
}

#[test]
fn nobody_and_strangers_stay_outside() {
    let (world, who) = World::clinic();
    world.tenant("hillside");
    let stranger = world.client("hillside", "system/*.cruds");
    let headers = [FORM, ("authorization", stranger.as_str())];
    let granted = world
        .ask("POST /t/hillside/auth/token", &headers, GRANT)
        .status(200);
    let bearer = format!("Bearer {}", granted.text("/access_token"));
    let missing = world.ask("GET /t/lakeside/fhir/Patient", &[], "");
    let missing = missing.refused(401, "credentials-missing");
    let challenges: Vec<&str> = missing
        .headers
        .get_all("www-authenticate")
        .iter()
        .map(|v| v.to_str().unwrap())
        .collect();
    assert_eq!(
        challenges,
        [
            "Bearer realm=\"lakeside\"",
            "Basic realm=\"lakeside\", charset=\"UTF-8\""
        ]
    );
    let damaged = format!("{bearer}x");
    for credentials in [
        stranger.as_str(),
        &bearer,
        &damaged,
        "Bearer x",
        "Digest x",
        "x",
    ] {
        world
            .fhir(credentials, "GET Patient", "")
            .refused(401, "credentials-invalid");
    }
    world
        .fhir(&stranger, "GET /t/hillside/fhir/Patient", "")
        .status(200);
    world
        .fhir(&bearer, "GET /t/hillside/fhir/Patient", "")
        .status(200);
    for line in [
        "GET /t/nowhere/fhir/Patient",
        "GET /t/nowhere/fhir/metadata",
        "POST /t/nowhere/auth/token",
        "BREW /t/nowhere/fhir/Patient",
    ] {
        world.fhir(&who, line, "").refused(404, "tenant-unknown");
    }
}

#[test]
fn revocation_acts_on_the_next_request() {
    let world = World::new();
    world.tenant("lakeside");
    let (id, secret) = world.client_secret("lakeside", "system/*.cruds");
    let basic = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
    let bearer = format!(
        "Bearer {}",
        token(&world, Some(&basic), GRANT).text("/access_token")
    );
    for who in [&basic, &bearer] {
        world.fhir(who, "GET Patient", "").status(200);
        world.fhir(who, "GET Patient", "").status(200);
    }
    let line = format!("DELETE /admin/v1/tenants/lakeside/clients/{id}");
    world.admin(&line, &Value::Null).status(204);
    for who in [&basic, &bearer] {
        world
            .fhir(who, "GET Patient", "")
            .refused(401, "credentials-invalid");
    }
    token(&world, Some(&basic), GRANT)
        .status(401)
        .at("/error", "invalid_client");
}

#[test]
fn an_address_that_guesses_has_to_wait() {
    let world = World::with(|limits| limits.failed_logins_per_minute_max = 3, |_| {});
    world.tenant("lakeside");
    let who = world.client("lakeside", "system/*.cruds");
    world.fhir(&who, "GET Patient", "").status(200);
    let guesser = "10.0.0.9".parse().unwrap();
    let guess = |credentials: &str| {
        let headers = [("authorization", credentials)];
        world.ask_from(guesser, "GET /t/lakeside/fhir/Patient", &headers, "")
    };
    for i in 0..3 {
        guess(&format!("Bearer guess{i}")).refused(401, "credentials-invalid");
    }
    let refused = guess("Bearer guess").refused(429, "rate-limited");
    let wait: i64 = refused.header_text("retry-after").unwrap().parse().unwrap();
    guess(&who).status(200);
    let headers = [FORM];
    let asked = world.ask_from(guesser, "POST /t/lakeside/auth/token", &headers, GRANT);
    asked.refused(429, "rate-limited");
    world
        .fhir("Bearer other-address", "GET Patient", "")
        .refused(401, "credentials-invalid");
    world.clock.forward_secs(wait + 1);
    guess("Bearer guess").refused(401, "credentials-invalid");
}

#[test]
fn discovery_tells_where_to_go() {
    let (world, _) = World::clinic();
    let about = world
        .ask(
            "GET /t/lakeside/fhir/.well-known/smart-configuration",
            &[],
            "",
        )
        .status(200);
    let url = format!("{ROOT}/t/lakeside/auth/token");
    about
        .at("/token_endpoint", url.as_str())
        .at("/issuer", format!("{ROOT}/t/lakeside/auth"));
    let keys = world.ask("GET /t/lakeside/auth/jwks", &[], "").status(200);
    keys.at("/keys/0/crv", "Ed25519");
}

#[test]
fn a_client_may_sign_instead_of_keeping_a_secret() {
    let world = World::new();
    world.tenant("lakeside");
    let rng = SystemRandom::new();
    let kind = &ECDSA_P384_SHA384_FIXED_SIGNING;
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(kind, &rng).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(kind, pkcs8.as_ref(), &rng).unwrap();
    let point = pair.public_key().as_ref();
    let part = |from: usize| URL_SAFE_NO_PAD.encode(&point[from..from + 48]);
    let jwks = json!({ "keys": [{ "kty": "EC", "crv": "P-384", "alg": "ES384", "kid": "k1",
                                  "x": part(1), "y": part(49) }] });
    let draft = json!({ "name": "backend", "scopes": ["system/*.rs"], "jwks": jwks });
    let made = world
        .admin("POST /admin/v1/tenants/lakeside/clients", &draft)
        .status(201);
    let id = made.text("/client_id");
    let key = EncodingKey::from_ec_der(pkcs8.as_ref());
    let now = 1_795_310_523;
    let sign = |change: &dyn Fn(&mut Value), header: Header| {
        let mut claims = json!({ "iss": id, "sub": id, "aud": format!("{ROOT}/t/lakeside/auth/token"),
                                 "exp": now + 200, "jti": "one" });
        change(&mut claims);
        let assertion = jsonwebtoken::encode(&header, &claims, &key).unwrap();
        let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        format!(
            "{GRANT}&scope=system/*.rs&client_assertion_type={kind}&client_assertion={assertion}"
        )
    };
    let header = || Header {
        kid: Some("k1".into()),
        ..Header::new(Algorithm::ES384)
    };
    let good = sign(&|_| {}, header());
    let granted = token(&world, None, &good).status(200);
    let bearer = format!("Bearer {}", granted.text("/access_token"));
    world.fhir(&bearer, "GET Patient", "").status(200);
    token(&world, None, &good)
        .status(401)
        .at("/error", "invalid_client");
    let jti = |c: &mut Value, jti: &str| c["jti"] = jti.into();
    for (name, body) in [
        (
            "audience",
            sign(
                &|c| {
                    jti(c, "a");
                    c["aud"] = "http://other/token".into();
                },
                header(),
            ),
        ),
        (
            "issuer",
            sign(
                &|c| {
                    jti(c, "b");
                    c["iss"] = "other".into();
                },
                header(),
            ),
        ),
        (
            "subject",
            sign(
                &|c| {
                    jti(c, "c");
                    c["sub"] = "other".into();
                },
                header(),
            ),
        ),
        (
            "expired",
            sign(
                &|c| {
                    jti(c, "d");
                    c["exp"] = (now - 100).into();
                },
                header(),
            ),
        ),
        (
            "too long",
            sign(
                &|c| {
                    jti(c, "e");
                    c["exp"] = (now + 4000).into();
                },
                header(),
            ),
        ),
        ("no jti", sign(&|c| jti(c, ""), header())),
        (
            "other key",
            sign(
                &|c| jti(c, "f"),
                Header {
                    kid: Some("k2".into()),
                    ..header()
                },
            ),
        ),
    ] {
        let answer = token(&world, None, &body);
        assert_eq!(answer.code, 401, "{name}");
    }
    token(&world, None, &sign(&|c| jti(c, "two"), header())).status(200);
}

#[test]
fn a_client_that_gives_back_all_the_time_stands_in_nobodys_way() {
    let world = World::with(|limits| limits.ended_tokens_per_client_max = 1, |_| {});
    world.tenant("lakeside");
    let [one, two] = [(); 2].map(|()| world.client("lakeside", "system/*.rs"));
    let given = |basic: &str| {
        let answer = token(&world, Some(basic), GRANT).status(200);
        answer.text("/access_token")
    };
    let revoke = |basic: &str, token: &str| {
        let form = ("content-type", "application/x-www-form-urlencoded");
        let headers = [form, ("authorization", basic)];
        let line = "POST /t/lakeside/auth/revoke";
        world.ask(line, &headers, format!("token={token}"))
    };
    let first = given(&one);
    revoke(&one, &first).status(200);
    revoke(&one, &first).status(200);
    let full = revoke(&one, &given(&one)).status(503);
    let told = String::from_utf8_lossy(&full.body).into_owned();
    assert!(told.contains("ended_tokens_per_client_max"), "{told}");
    revoke(&two, &given(&two)).status(200);
    // When the first would have ended by itself, there is room.
    world.clock.forward_secs(3_601);
    let third = given(&one);
    revoke(&one, &third).status(200);
    let bearer = format!("Bearer {third}");
    world.fhir(&bearer, "GET Patient", "").status(401);
}
