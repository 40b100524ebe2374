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
    }
}

fn request() -> RequestMeta {
    RequestMeta {
        id: RequestId(1),
        at: NOW,
    }
}

fn principal(tenant: &TenantId, scopes: &str) -> Principal {
    let key = SecretKey::new(&Secret::new([5; 32]));
    client(scopes, &key)
        .authenticate(tenant, &key, "secret")
        .unwrap()
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
        "patient/*.rs",
        "system/Patient",
        "system/Patient.",
        "system/Patient.sr",
        "system/Patient.rr",
        "system/Patient.x",
        "system/Nonsense.r",
        "system/patient.r",
        "system/Observation.rs?category=laboratory",
        "launch",
    ] {
        assert!(Scopes::parse(bad, model()).is_err(), "{bad}");
    }
    let wide = Scopes::parse("system/*.cruds", model()).unwrap();
    let v1 = Scopes::parse("system/Patient.read system/Observation.write", model()).unwrap();
    let v2 = Scopes::parse("system/Patient.rs system/Observation.cud", model()).unwrap();
    assert!(wide.covers(&v1) && v1.covers(&v2) && v2.covers(&v1) && !v1.covers(&wide));
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
    let token = key.issue("iss", &record, &wide, NOW, 60, [1; 16]).unwrap();

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
    let token = key.issue("iss", &record, &scopes, NOW, 60, [1; 16]);
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
    let late = RequestMeta {
        id: RequestId(1),
        at: NOW.plus_secs(50),
    };
    assert!(decide::<Create>(&who, &a, late, Target::Readable).is_err());
}
