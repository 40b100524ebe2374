//! Programs that prove who they are by certificates, and tokens that are bound to them (RFC 8705).

use std::net::{IpAddr, Ipv4Addr};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use engine::form::encode;
use engine::{CertificateNames, DistinguishedName, Outside, ShownCertificate};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::elsewhere::{Elsewhere, Pair};
use super::oauth::{FORM, Program, approved, code_fields, request};
use super::people::{administrator, person};
use super::world::{Answer, World, patient_with_id};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const SUBJECT: &str = "CN=Growth chart,O=Acme,C=DE";

fn clinic() -> World {
    let world = World::with(
        |_| {},
        |config| (config.client_certificates, config.client_authorities) = (true, true),
    );
    world.tenant("lakeside");
    world
}

fn draft(certificates: &Value) -> Value {
    json!({ "name": "Growth chart", "scopes": ["system/*.cruds"], "certificates": certificates })
}

fn made(world: &World, draft: &Value) -> Answer {
    world.admin("POST /admin/v1/tenants/lakeside/clients", draft)
}

/// A certificate that nobody vouches for.
fn alone(certificate: &[u8]) -> ShownCertificate {
    let sha256 = digest(&SHA256, certificate);
    ShownCertificate {
        sha256: sha256.as_ref().try_into().unwrap(),
        names: None,
    }
}

/// One that an authority vouches for.
fn vouched(certificate: &[u8]) -> ShownCertificate {
    ShownCertificate {
        names: Some(CertificateNames {
            subject: DistinguishedName::parse("C=DE").unwrap(),
            dns: vec!["chart.acme.example".to_owned()],
            authorities: vec![[1; 32]],
            only: true,
            ..CertificateNames::default()
        }),
        ..alone(certificate)
    }
}

fn named(subject: &str) -> ShownCertificate {
    let mut shown = vouched(subject.as_bytes());
    if let Some(names) = &mut shown.names {
        names.subject = DistinguishedName::parse(subject).unwrap();
        names.dns.clear();
    }
    shown
}

fn post(
    world: &World,
    to: &str,
    shown: Option<&ShownCertificate>,
    headers: &[(&str, &str)],
    fields: &[(&str, &str)],
) -> Answer {
    let body: Vec<String> = fields
        .iter()
        .map(|(n, v)| format!("{n}={}", encode(v)))
        .collect();
    let headers: Vec<_> = headers.iter().copied().chain([FORM]).collect();
    let line = format!("POST /t/lakeside/auth/{to}");
    world.ask_showing(HERE, shown.cloned(), &line, &headers, body.join("&"))
}

fn token(world: &World, client: &str, shown: Option<&ShownCertificate>) -> Answer {
    let fields = [("grant_type", "client_credentials"), ("client_id", client)];
    post(world, "token", shown, &[], &fields)
}

fn read(world: &World, token: &str, shown: Option<&ShownCertificate>) -> Answer {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    let line = "GET /t/lakeside/fhir/Patient";
    world.ask_showing(HERE, shown.cloned(), line, &headers, "")
}

fn refused(answer: Answer) {
    answer.status(401).at("/error", "invalid_client");
}

#[test]
fn a_program_is_recognised_by_the_name_in_its_certificate() {
    let world = clinic();
    let by_subject = made(&world, &draft(&json!({ "by": { "subject": SUBJECT } }))).status(201);
    assert!(by_subject.json()["client_secret"].is_null());
    let by_dns = json!({ "by": { "dns": "chart.acme.example" } });
    let by_dns = made(&world, &draft(&by_dns)).status(201);
    let (by_subject, by_dns) = (by_subject.text("/client_id"), by_dns.text("/client_id"));
    // However the same name is written.
    for subject in [SUBJECT, "cn=Growth chart, o=Acme, c=DE"] {
        let given = token(&world, &by_subject, Some(&named(subject))).status(200);
        read(&world, &given.text("/access_token"), None).status(200);
    }
    token(&world, &by_dns, Some(&vouched(b"x"))).status(200);
    let mut unvouched = named(SUBJECT);
    unvouched.names = None;
    for shown in [
        None,
        Some(unvouched),
        Some(named("CN=Growth chart,O=Acme,C=FR")),
        Some(named("CN=Growth chart,O=Acme")),
        Some(vouched(b"x")),
    ] {
        refused(token(&world, &by_subject, shown.as_ref()));
    }
    refused(token(&world, &by_dns, Some(&named(SUBJECT))));
    // Not with what any secret could be, and not for who it says nothing of.
    let basic = format!("Basic {}", STANDARD.encode(format!("{by_subject}:")));
    let fields = [("grant_type", "client_credentials")];
    let own = named(SUBJECT);
    let headers = [("authorization", basic.as_str())];
    refused(post(&world, "token", Some(&own), &headers, &fields));
    refused(post(&world, "token", Some(&own), &[], &fields));
    world
        .fhir(&basic, "GET Patient", "")
        .refused(401, "credentials-invalid");
    // Another tenant's is nobody here.
    world.tenant("hillside");
    let line = "POST /t/hillside/auth/token";
    let body = format!("grant_type=client_credentials&client_id={by_subject}");
    refused(world.ask_showing(HERE, Some(own), line, &[FORM], body));
}

/// The authority of one clinic says nothing about the programs of another.
#[test]
fn of_several_authorities_a_client_is_recognised_by_its_own() {
    let world = clinic();
    let by = |authority: Option<&str>| {
        let mut terms = json!({ "by": { "subject": SUBJECT } });
        if let Some(authority) = authority {
            terms["authority"] = json!(authority);
        }
        made(&world, &draft(&terms)).status(201).text("/client_id")
    };
    let (one, two) = ("01".repeat(32), "02".repeat(32));
    let (any, first) = (by(None), by(Some(&one)));
    let second = by(Some(&two.to_uppercase()));
    let mut shown = named(SUBJECT);
    for (client, code) in [(&any, 200), (&first, 200), (&second, 401)] {
        token(&world, client, Some(&shown)).status(code);
    }
    // Once there is another authority, the first does not speak for whoever did not name it.
    if let Some(names) = &mut shown.names {
        names.only = false;
    }
    for (client, code) in [(&any, 401), (&first, 200), (&second, 401)] {
        token(&world, client, Some(&shown)).status(code);
    }
    if let Some(names) = &mut shown.names {
        names.authorities = vec![[2; 32]];
    }
    for (client, code) in [(&any, 401), (&first, 401), (&second, 200)] {
        token(&world, client, Some(&shown)).status(code);
    }
    for wrong in [
        json!({ "by": { "subject": SUBJECT }, "authority": "01" }),
        json!({ "authority": one, "bound": true }),
        json!({ "by": "self_signed", "authority": one }),
    ] {
        made(&world, &draft(&wrong)).refused(400, "request-invalid");
    }
}

#[test]
fn nobody_shows_a_certificate_in_a_header() {
    let world = clinic();
    let client = made(&world, &draft(&json!({ "by": { "subject": SUBJECT } }))).status(201);
    let client = client.text("/client_id");
    let fields = [("grant_type", "client_credentials"), ("client_id", &client)];
    for name in [
        "client-cert",
        "client-cert-chain",
        "x-client-cert",
        "x-ssl-client-cert",
        "x-ssl-client-s-dn",
        "ssl-client-subject-dn",
        "x-forwarded-client-cert",
        "x-forwarded-tls-client-cert",
        "x-tls-client-cert",
        "x-amzn-mtls-clientcert",
    ] {
        let headers = [(name, SUBJECT), ("ssl-client-verify", "SUCCESS")];
        refused(post(&world, "token", None, &headers, &fields));
    }
}

#[test]
fn a_program_is_recognised_by_a_certificate_of_its_own() {
    let outside = Elsewhere::default();
    let way_out = Outside::new(outside.clone());
    let world = World::with(
        |_| {},
        |config| {
            config.outside = way_out;
            config.client_certificates = true;
        },
    );
    world.tenant("lakeside");
    let key = Pair::es384("one");
    let with = |certificate: &[u8]| {
        let mut jwk = key.public.clone();
        jwk["x5c"] = json!([STANDARD.encode(certificate)]);
        json!({ "keys": [jwk] })
    };
    let own = json!({ "by": "self_signed" });
    let mut inline = draft(&own);
    inline["jwks"] = with(b"certificate one");
    let inline = made(&world, &inline).status(201).text("/client_id");
    token(&world, &inline, Some(&alone(b"certificate one"))).status(200);
    refused(token(&world, &inline, Some(&alone(b"certificate two"))));
    refused(token(&world, &inline, None));

    let url = "https://acme.example/jwks";
    let mut published = draft(&own);
    published["jwks_uri"] = json!(url);
    let published = made(&world, &published).status(201).text("/client_id");
    outside.serve(url, &with(b"certificate one"));
    token(&world, &published, Some(&alone(b"certificate one"))).status(200);
    refused(token(&world, &published, Some(&alone(b"certificate two"))));
    // Another one is published: it is found.
    outside.serve(url, &with(b"certificate two"));
    world.clock.forward_secs(31);
    token(&world, &published, Some(&alone(b"certificate two"))).status(200);

    // What nobody could show is refused when it is said.
    let mut bare = draft(&own);
    bare["jwks"] = json!({ "keys": [key.public] });
    for wrong in [
        bare,
        draft(&own),
        draft(&json!({ "by": { "subject": SUBJECT } })),
        draft(&json!({ "by": { "subject": "Growth chart" } })),
    ] {
        made(&world, &wrong).refused(400, "request-invalid");
    }
    let nobody_asks = World::new();
    nobody_asks.tenant("lakeside");
    let bound = draft(&json!({ "bound": true }));
    made(&nobody_asks, &bound).refused(400, "request-invalid");
}

#[test]
fn a_bound_token_is_one_with_its_certificate_alone() {
    let world = clinic();
    let bound = json!({ "by": { "subject": SUBJECT }, "bound": true });
    let client = made(&world, &draft(&bound)).status(201).text("/client_id");
    let own = named(SUBJECT);
    let given = token(&world, &client, Some(&own)).status(200);
    let given = given.text("/access_token");
    let payload = given.split('.').nth(1).unwrap();
    let claims = URL_SAFE_NO_PAD.decode(payload).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    let thumbprint = URL_SAFE_NO_PAD.encode(own.sha256);
    assert_eq!(claims["cnf"]["x5t#S256"], *thumbprint);
    // At every use, remembered or not.
    for _ in 0..2 {
        read(&world, &given, None).refused(401, "token-bound");
        read(&world, &given, Some(&vouched(b"another"))).refused(401, "token-bound");
        read(&world, &given, Some(&own)).status(200);
    }
    // Revoked or past its time, nobody vouches for it any more.
    let mut revoked = own.clone();
    revoked.names = None;
    refused(token(&world, &client, Some(&revoked)));
    read(&world, &given, Some(&revoked)).refused(401, "token-bound");
    read(&world, &given, Some(&own)).status(200);
    let trail = world.admin(
        "GET /admin/v1/tenants/lakeside/audit?limit=500",
        &Value::Null,
    );
    let trail = String::from_utf8_lossy(&trail.body).into_owned();
    assert!(
        trail.contains("a certificate that counts no more"),
        "{trail}"
    );
    assert!(
        trail.contains("a connection without its certificate"),
        "{trail}"
    );
    // Whoever asks about it is told, whatever certificate they show themselves.
    let (id, secret) = world.client_secret("lakeside", "system/*.rs");
    let basic = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
    let headers = [("authorization", basic.as_str())];
    let fields = [("token", given.as_str())];
    post(&world, "introspect", None, &headers, &fields)
        .status(200)
        .at("/active", true)
        .at("/cnf/x5t#S256", thumbprint);
    // One that has a secret may have bound tokens too.
    let with_secret = made(&world, &draft(&json!({ "bound": true }))).status(201);
    let pair = [
        with_secret.text("/client_id"),
        with_secret.text("/client_secret"),
    ];
    let basic = format!("Basic {}", STANDARD.encode(pair.join(":")));
    let headers = [("authorization", basic.as_str())];
    let fields = [("grant_type", "client_credentials")];
    post(&world, "token", None, &headers, &fields)
        .status(400)
        .at("/error", "invalid_request");
    let mine = alone(b"mine");
    let given = post(&world, "token", Some(&mine), &headers, &fields).status(200);
    let given = given.text("/access_token");
    read(&world, &given, Some(&own)).refused(401, "token-bound");
    read(&world, &given, Some(&mine)).status(200);
    // Its secret asks for tokens, and is not taken in place of one.
    world
        .fhir(&basic, "GET Patient", "")
        .refused(401, "credentials-invalid");
}

#[test]
fn what_a_person_approved_is_bound_too() {
    let world = clinic();
    let owner = world.client("lakeside", "system/*.cruds");
    world
        .fhir(&owner, "PUT Patient/p1", patient_with_id("p1", "Doe"))
        .status(201);
    let draft = json!({
        "name": "Growth chart", "public": true, "certificates": { "bound": true },
        "redirect_uris": ["https://app.example/cb?a=1"],
        "scopes": ["openid", "launch/patient", "patient/*.rs", "offline_access"],
    });
    let program = Program {
        id: made(&world, &draft).status(201).text("/client_id"),
        secret: None,
    };
    let admin = administrator(&world, "lakeside");
    let doe = json!({ "login": "doe", "name": "J. Doe", "fhir_user": "Patient/p1" });
    let (doe, _) = person(&admin, &doe);
    let own = alone(b"own");
    let exchange = |shown: Option<&ShownCertificate>| {
        let code = approved(&doe, &request(&program, &[]));
        let mut fields = code_fields(&code).to_vec();
        fields.push(("client_id", &program.id));
        post(&world, "token", shown, &[], &fields)
    };
    exchange(None).status(400).at("/error", "invalid_request");
    let given = exchange(Some(&own)).status(200);
    let access = given.text("/access_token");
    let read = |shown: Option<&ShownCertificate>| {
        let bearer = format!("Bearer {access}");
        let headers = [("authorization", bearer.as_str())];
        let line = "GET /t/lakeside/fhir/Patient/p1";
        world.ask_showing(HERE, shown.cloned(), line, &headers, "")
    };
    read(None).refused(401, "token-bound");
    // It is recognised; what it may do is for policy to say.
    read(Some(&own)).refused(403, "scope-missing");
    let refresh = |token: &str, shown: &ShownCertificate| {
        let fields = [
            ("grant_type", "refresh_token"),
            ("refresh_token", token),
            ("client_id", &program.id),
        ];
        post(&world, "token", Some(shown), &[], &fields)
    };
    let given = refresh(&given.text("/refresh_token"), &own).status(200);
    let next = given.text("/refresh_token");
    // Shown by somebody else it was stolen: all of it ends.
    refresh(&next, &alone(b"thief"))
        .status(400)
        .at("/error", "invalid_grant");
    refresh(&next, &own)
        .status(400)
        .at("/error", "invalid_grant");
    read(Some(&own)).status(401);
}

#[test]
fn what_nobody_knows_of_certificates_is_refused() {
    let world = clinic();
    for terms in [
        json!({ "tls_client_auth_subject_dn": "CN=lab" }),
        json!({ "bind": true }),
        json!({ "by": { "subject": SUBJECT }, "Bound": true }),
        json!({ "by": { "subject": SUBJECT, "dns": "a.example" } }),
    ] {
        made(&world, &draft(&terms)).refused(400, "request-invalid");
    }
    made(&world, &draft(&json!({}))).status(201);
}

#[test]
fn what_is_taken_is_told() {
    let methods = |world: &World| {
        let mut all = Vec::new();
        for path in [
            "fhir/.well-known/smart-configuration",
            "auth/.well-known/openid-configuration",
        ] {
            let told = world.ask(&format!("GET /t/lakeside/{path}"), &[], "");
            let told = told.status(200).json();
            let bound = told["tls_client_certificate_bound_access_tokens"].clone();
            all.push((told["token_endpoint_auth_methods_supported"].clone(), bound));
        }
        assert_eq!(all[0], all[1]);
        all.remove(0)
    };
    let plain = json!(["client_secret_basic", "private_key_jwt", "none"]);
    let world = World::new();
    world.tenant("lakeside");
    assert_eq!(methods(&world), (plain, json!(false)));
    let all = json!([
        "client_secret_basic",
        "private_key_jwt",
        "none",
        "self_signed_tls_client_auth",
        "tls_client_auth"
    ]);
    assert_eq!(methods(&clinic()), (all, json!(true)));
}
