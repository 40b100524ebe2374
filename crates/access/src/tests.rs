use std::sync::Arc;

use base::{Micros, RequestId, ResourceId, Secret, TenantName};
use fhir::definitions::{FhirVersion, Model};

use crate::*;

const NOW: Micros = Micros(1_800_000_000_000_000);

fn tenant(name: &str, byte: u8) -> TenantId {
    let house = HouseKey::new(Secret::new([1; 32]));
    let directory = Directory::new(&house);
    let name = TenantName::new(name).unwrap();
    let record = Record::seal(&house, name.clone(), [byte; 16], FhirVersion::R4, [0; 32]);
    directory.admit(&record).unwrap();
    directory.resolve(&name).unwrap()
}

fn model() -> &'static Model {
    Model::of(FhirVersion::R4)
}

fn client(scopes: &str, key: &SecretKey) -> ClientRecord {
    ClientRecord {
        id: ClientId::new("vendor").unwrap(),
        name: "Vendor".into(),
        scopes: Arc::new(Scopes::parse(scopes, model()).unwrap()),
        secret_hash: key.hash("secret"),
        jwks: None,
        epoch: 3,
        revoked: false,
        import: None,
        program: None,
        roles: None,
        vendor: None,
        certificates: CertificateTerms::default(),
        about: crate::ClientAbout::default(),
        made: None,
    }
}

fn issuing() -> Issuing<'static> {
    Issuing {
        issuer: "iss",
        now: NOW,
        lifetime_secs: 60,
        random: [1; 16],
        certificate: None,
    }
}

fn request() -> RequestMeta {
    RequestMeta::new(RequestId(1), NOW)
}

fn principal(tenant: &TenantId, scopes: &str) -> Principal {
    let key = SecretKey::new(&Secret::new([5; 32]));
    client(scopes, &key)
        .authenticate(tenant, &key, "secret")
        .unwrap()
}

/// Decides by scopes alone.
fn decide<A: Action>(
    who: &Principal,
    tenant: &TenantId,
    request: RequestMeta,
    target: Target,
) -> Result<Permit<A>, Denied> {
    let rights = Rights::by_scopes(who, Model::of(tenant.fhir()), request.at);
    crate::decide(who, &rights, tenant, request, target)
}

#[test]
fn secrets() {
    let (a, key) = (tenant("aaa", 1), SecretKey::new(&Secret::new([5; 32])));
    let mut record = client("system/*.cruds", &key);
    assert!(record.authenticate(&a, &key, "secret").is_some());
    assert!(record.authenticate(&a, &key, "Secret").is_none());
    assert!(
        record
            .authenticate(&a, &SecretKey::new(&Secret::new([6; 32])), "secret")
            .is_none()
    );
    record.revoked = true;
    assert!(record.authenticate(&a, &key, "secret").is_none());
}

#[test]
fn scopes() {
    for bad in [
        "",
        "users/*.rs",
        "system/Patient",
        "system/Patient.",
        "system/Patient.sr",
        "system/Patient.rr",
        "system/Patient.x",
        "system/Nonsense.r",
        "system/patient.r",
        "system/Observation.rs?category",
        "user/Observation.rs?=x",
        "launch/",
    ] {
        assert!(Scopes::parse(bad, model()).is_err(), "{bad}");
    }
    let wide = Scopes::parse("system/*.cruds", model()).unwrap();
    let v1 = Scopes::parse("system/Patient.read system/Observation.write", model()).unwrap();
    let v2 = Scopes::parse("system/Patient.rs system/Observation.cud", model()).unwrap();
    assert!(wide.covers(&v1) && v1.covers(&v2) && v2.covers(&v1) && !v1.covers(&wide));
}

#[test]
fn scopes_of_people_and_narrowed_ones_are_kept_apart() {
    let parse = |text| Scopes::parse(text, model()).unwrap();
    let observation = model().type_id("Observation").unwrap();
    let patient = model().type_id("Patient").unwrap();
    let all = parse(
        "openid launch/patient patient/*.rs user/Patient.r system/Observation.rs?category=laboratory&status=final",
    );
    assert!(all.has("openid") && all.has("launch/patient") && !all.has("fhirUser"));
    assert_eq!(all.resources().len(), 3);
    assert!(all.types(ActionName::Read).contains(patient));
    assert!(!all.types(ActionName::Read).contains(observation));
    let last = &all.resources()[2];
    assert_eq!(
        last.query.as_deref(),
        Some("category=laboratory&status=final")
    );
    assert!(last.allows(ActionName::Search) && !last.allows(ActionName::Create));

    assert!(parse("user/*.cruds").covers(&parse("user/Observation.rs?category=x")));
    assert!(!parse("user/Observation.rs?category=x").covers(&parse("user/Observation.rs")));
    assert!(!parse("user/*.cruds").covers(&parse("patient/*.rs")));
    assert!(!parse("system/*.cruds").covers(&parse("user/*.rs")));
    assert!(!parse("user/*.rs").covers(&parse("openid user/*.rs")));

    // A client by itself has nothing of what people may give it.
    let a = tenant("aaa", 1);
    let who = principal(&a, "user/*.cruds patient/*.cruds openid system/Patient.r");
    assert_eq!(who.scopes().unwrap().as_str(), "system/Patient.r");
    assert!(decide::<Read>(&who, &a, request(), Target::Types(vec![patient])).is_ok());
    assert!(decide::<Read>(&who, &a, request(), Target::Types(vec![observation])).is_err());
}

fn person() -> PersonRecord {
    PersonRecord {
        id: PersonId::of([7; 16]),
        login: "ada".into(),
        name: "Ada".into(),
        roles: vec![
            RoleAt::parse("clinician@Organization/7").unwrap(),
            RoleAt::parse(TENANT_ADMINISTRATOR).unwrap(),
        ]
        .into(),
        groups: Vec::new().into(),
        fhir_user: None,
        epoch: 2,
        state: PersonState::Active,
    }
}

#[test]
fn roles_are_read_and_written() {
    for good in ["nurse", "nurse@Organization/7", "front-desk@Location/a.b"] {
        assert_eq!(RoleAt::parse(good).unwrap().to_string(), good);
    }
    for bad in [
        "",
        "Nurse",
        "nurse@",
        "nurse@Patient/1",
        "nurse@Organization",
        "nurse@Organization/",
        "@Organization/1",
        "nurse@Organization/1/2",
    ] {
        assert!(RoleAt::parse(bad).is_none(), "{bad}");
    }
}

#[test]
fn a_session_stands_for_its_person_in_its_tenant_while_it_is_good() {
    let (a, b) = (tenant("aaa", 1), tenant("bbb", 2));
    let secret = Secret::new([9; 32]);
    let key = PeopleKey::new(a.clone(), &secret);
    let mut who = person();
    let mut session = SessionRecord {
        id: "s".into(),
        cookie: key.cookie_hash("cookie"),
        person: who.id.clone(),
        person_epoch: 2,
        assurance: Assurance::Password,
        authenticated: NOW,
        until: NOW.plus_secs(100),
        idle_secs: 50,
        used: NOW,
        ended: false,
    };
    let at = |key: &PeopleKey, cookie, session: &_, who: &_, secs| {
        key.recognise(cookie, session, who, model(), NOW.plus_secs(secs))
    };
    let principal = at(&key, "cookie", &session, &who, 0).unwrap();
    assert_eq!(principal.person().unwrap().1, 2);
    assert!(principal.client().is_none());
    assert_eq!(principal.roles().len(), 2);
    for what in [Administering::OwnAccount, Administering::People] {
        assert!(decide_accounts(&principal, &a, request(), what).is_ok());
        assert!(decide_accounts(&principal, &b, request(), what).is_err());
    }
    // Whoever signs in has no right to data by it.
    assert!(decide::<Search>(&principal, &a, request(), Target::Readable).is_err());
    assert!(decide::<Administer>(&principal, &a, request(), Target::Tenant).is_err());

    assert!(at(&key, "cookies", &session, &who, 0).is_none());
    assert!(at(&key, "cookie", &session, &who, 50).is_none(), "idle");
    let of_b = PeopleKey::new(b, &secret);
    assert!(at(&of_b, "cookie", &session, &who, 0).is_none());
    session.used = NOW.plus_secs(90);
    assert!(at(&key, "cookie", &session, &who, 99).is_some());
    assert!(at(&key, "cookie", &session, &who, 100).is_none(), "over");
    session.ended = true;
    assert!(at(&key, "cookie", &session, &who, 99).is_none());
    session.ended = false;
    who.state = PersonState::Disabled;
    assert!(at(&key, "cookie", &session, &who, 99).is_none());
    who.state = PersonState::Active;
    who.epoch += 1;
    assert!(at(&key, "cookie", &session, &who, 99).is_none());
}

#[test]
fn a_token_of_an_approval_is_good_as_long_as_all_three_are_as_they_were() {
    let (a, b) = (tenant("aaa", 1), tenant("bbb", 2));
    let seed = Secret::new([9; 32]);
    let key = TokenKey::new(a.clone(), &seed).unwrap();
    let program = client("user/*.rs", &SecretKey::new(&Secret::new([5; 32])));
    let ada = person();
    let approval = ApprovalRecord {
        id: "ap".into(),
        person: ada.id.clone(),
        person_epoch: ada.epoch,
        client: program.id.clone(),
        client_epoch: program.epoch,
        scopes: Arc::new(Scopes::parse("user/Patient.rs launch/patient", model()).unwrap()),
        patient: Some(ResourceId::new("7").unwrap()),
        session: None,
        assurance: Assurance::TwoFactors,
        authenticated: NOW,
        until: NOW.plus_secs(30),
        ended: false,
    };
    let token = key
        .issue_for(&approval, &approval.scopes, issuing())
        .unwrap();
    let verified = key.verify(&token, NOW).unwrap();
    assert_eq!(verified.approval(), Some("ap"));
    assert_eq!(verified.expires(), NOW.plus_secs(30), "with the approval");
    let who = key
        .person(&verified, &approval, &ada, &program, (model(), NOW))
        .unwrap();
    assert_eq!(who.patient().unwrap().as_str(), "7");
    assert_eq!(who.client().unwrap().0.as_str(), "vendor");
    assert!(who.actor().as_str().ends_with(" client:vendor"));
    let own = decide_accounts(&who, &a, request(), Administering::OwnAccount);
    assert!(
        own.is_err(),
        "a program administers nothing in a person's name"
    );
    assert!(
        key.principal(&verified, &program, model()).is_err(),
        "not the client's own"
    );

    let other = TokenKey::new(b, &seed).unwrap();
    assert!(other.verify(&token, NOW).is_err());
    let refused = |approval: &_, ada: &_, program: &_| {
        key.person(&verified, approval, ada, program, (model(), NOW))
            .is_err()
    };
    let changed = |change: &dyn Fn(&mut ApprovalRecord)| {
        let mut other = approval.clone();
        change(&mut other);
        other
    };
    for other in [
        changed(&|a| a.ended = true),
        changed(&|a| a.id = "other".into()),
        changed(&|a| a.until = NOW),
        changed(&|a| a.person_epoch += 1),
        changed(&|a| a.client_epoch += 1),
        changed(&|a| a.person = PersonId::of([8; 16])),
    ] {
        assert!(refused(&other, &ada, &program));
    }
    let mut disabled = ada.clone();
    disabled.state = PersonState::Disabled;
    assert!(refused(&approval, &disabled, &program));
    let mut revoked = program.clone();
    revoked.revoked = true;
    assert!(refused(&approval, &ada, &revoked));
}

#[test]
fn decisions() {
    let (a, b) = (tenant("aaa", 1), tenant("bbb", 2));
    let patient = model().type_id("Patient").unwrap();
    let observation = model().type_id("Observation").unwrap();
    let who = principal(&a, "system/Patient.rs system/Observation.c");
    let id = ResourceId::new("7").unwrap();
    let instance = |t| Target::Instance(t, id.clone());
    assert!(decide::<Read>(&who, &a, request(), instance(patient)).is_ok());
    assert!(decide::<Read>(&who, &a, request(), instance(observation)).is_err());
    assert!(decide::<Read>(&who, &b, request(), instance(patient)).is_err());
    assert!(decide::<Update>(&who, &a, request(), instance(patient)).is_err());
    assert!(decide::<Create>(&who, &a, request(), Target::Types(vec![observation])).is_ok());
    let both = Target::Types(vec![patient, observation]);
    let denied = decide::<Search>(&who, &a, request(), both).unwrap_err();
    assert_eq!(denied.type_id, Some(observation));
    assert!(decide::<Erase>(&who, &a, request(), Target::Readable).is_err());
    assert!(decide::<Export>(&who, &a, request(), Target::Tenant).is_err());
    assert!(decide_house(&who, request()).is_err());

    let spent = decide::<Read>(&who, &a, request(), instance(patient))
        .unwrap()
        .spend(&a);
    assert!(spent.covers(patient, &id));
    assert!(!spent.covers(patient, &ResourceId::new("8").unwrap()));
    assert!(!spent.shows(observation));
}

#[test]
fn the_operator_reads_no_charts() {
    let a = tenant("aaa", 1);
    let operator = OperatorToken::new("t").authenticate("t").unwrap();
    assert!(OperatorToken::new("t").authenticate("u").is_none());
    assert!(decide_house(&operator, request()).is_ok());
    assert!(decide::<Search>(&operator, &a, request(), Target::Readable).is_err());
    assert!(decide::<Administer>(&operator, &a, request(), Target::Tenant).is_err());
}

#[test]
#[should_panic(expected = "another tenant")]
fn a_permit_of_another_tenant_stops_the_request() {
    let (a, b) = (tenant("aaa", 1), tenant("bbb", 2));
    let who = principal(&a, "system/*.cruds");
    let _ = decide::<Search>(&who, &a, request(), Target::Readable)
        .unwrap()
        .spend(&b);
}

#[test]
#[should_panic(expected = "about to leave")]
fn a_row_outside_the_permit_does_not_leave() {
    let a = tenant("aaa", 1);
    let who = principal(&a, "system/Patient.rs");
    let spent = decide::<Search>(&who, &a, request(), Target::Readable)
        .unwrap()
        .spend(&a);
    let _ = spent.release(model().type_id("Observation").unwrap(), "x");
}

#[test]
fn tokens() {
    let (a, b) = (tenant("aaa", 1), tenant("bbb", 2));
    let seed = Secret::new([9; 32]);
    let key = TokenKey::new(a.clone(), &seed).unwrap();
    let secret_key = SecretKey::new(&Secret::new([5; 32]));
    let mut record = client("system/Patient.rs", &secret_key);
    let wide = Scopes::parse("system/*.cruds", model()).unwrap();
    let token = key.issue(&record, &wide, issuing()).unwrap();

    let verified = key.verify(&token, NOW).unwrap();
    let who = key.principal(&verified, &record, model()).unwrap();
    let observation = model().type_id("Observation").unwrap();
    let target = || Target::Types(vec![observation]);
    assert!(
        decide::<Search>(&who, &a, request(), target()).is_err(),
        "wider than the client"
    );

    assert_eq!(
        key.verify(&token, NOW.plus_secs(60)).unwrap_err(),
        TokenError::Expired
    );
    assert_eq!(
        key.verify(&token, NOW.plus_secs(-61)).unwrap_err(),
        TokenError::Invalid
    );
    let same_seed = TokenKey::new(b.clone(), &seed).unwrap();
    assert_eq!(
        same_seed.verify(&token, NOW).unwrap_err(),
        TokenError::Invalid
    );
    let other_seed = TokenKey::new(a, &Secret::new([8; 32])).unwrap();
    assert_eq!(
        other_seed.verify(&token, NOW).unwrap_err(),
        TokenError::Invalid
    );

    record.epoch += 1;
    assert!(key.principal(&verified, &record, model()).is_err());
    record.epoch -= 1;
    record.revoked = true;
    assert!(key.principal(&verified, &record, model()).is_err());

    // `none` and symmetric algorithms, and changed bits
    let mut parts = token.split('.');
    let (_, body, sig) = (parts.next(), parts.next().unwrap(), parts.next().unwrap());
    for header in ["eyJhbGciOiJub25lIn0", "eyJhbGciOiJIUzI1NiJ9"] {
        assert!(key.verify(&format!("{header}.{body}.{sig}"), NOW).is_err());
        assert!(key.verify(&format!("{header}.{body}."), NOW).is_err());
    }
    for at in [5, token.len() / 2, token.len() - 3] {
        let mut bytes = token.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        assert!(key.verify(&String::from_utf8(bytes).unwrap(), NOW).is_err());
    }
}

#[test]
fn a_way_in_for_bulk_loading_writes_shows_nothing_and_ends() {
    let a = tenant("aaa", 1);
    let key = TokenKey::new(a.clone(), &Secret::new([9; 32])).unwrap();
    let secrets = SecretKey::new(&Secret::new([5; 32]));
    let mut record = client(Scopes::IMPORT, &secrets);
    "first load".clone_into(&mut record.name);
    record.import = Some(ImportTimes {
        opened: NOW,
        until: NOW.plus_secs(50),
    });
    let scopes = record.scopes.clone();
    let token = key.issue(&record, &scopes, issuing());
    let verified = key.verify(&token.unwrap(), NOW).unwrap();
    assert_eq!(verified.expires(), NOW.plus_secs(50), "with the way in");
    let who = key.principal(&verified, &record, model()).unwrap();
    assert!(who.actor().as_str().starts_with("import:"));
    assert!(who.actor().as_str().ends_with(" first load"));
    assert!(
        record.authenticate(&a, &secrets, "secret").is_none(),
        "no secret opens it"
    );

    let types = || vec![model().type_id("Patient").unwrap()];
    assert!(decide::<Create>(&who, &a, request(), Target::Types(types())).is_ok());
    assert!(decide::<Update>(&who, &a, request(), Target::Types(types())).is_ok());
    assert!(decide::<Search>(&who, &a, request(), Target::Criteria(types())).is_ok());
    for shown in [Target::Types(types()), Target::Readable] {
        assert!(decide::<Search>(&who, &a, request(), shown.clone()).is_err());
        assert!(decide::<History>(&who, &a, request(), shown.clone()).is_err());
        assert!(decide::<Read>(&who, &a, request(), shown.clone()).is_err());
        assert!(decide::<Delete>(&who, &a, request(), shown).is_err());
    }
    let late = RequestMeta::new(RequestId(1), NOW.plus_secs(50));
    assert!(decide::<Create>(&who, &a, late, Target::Readable).is_err());
}
