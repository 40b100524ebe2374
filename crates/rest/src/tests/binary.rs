//! Binary with its own content type.

use super::world::World;

#[test]
fn bytes_go_in_and_come_out() {
    let (world, who) = World::clinic();
    let bytes: Vec<u8> = (0..=255u8).cycle().take(700_000).collect();
    let png = [("content-type", "image/png")];
    let made = world
        .fhir_with(&who, "POST Binary", &png, bytes.clone())
        .status(201);
    let id = made.text("/id");
    assert_eq!(made.json()["contentType"], "image/png");
    let raw = world
        .fhir(&who, &format!("GET Binary/{id}"), "")
        .status(200);
    assert_eq!(raw.body, bytes);
    let raw = raw
        .header("content-type", "image/png")
        .header("content-disposition", "attachment");
    let raw = raw
        .header("x-content-type-options", "nosniff")
        .header("content-length", "700000");
    raw.header("content-security-policy", "default-src 'none'; sandbox")
        .header("etag", "W/\"1\"");
    let any = [("accept", "image/*")];
    let raw = world
        .fhir_with(&who, &format!("GET Binary/{id}"), &any, "")
        .status(200);
    assert_eq!(raw.body, bytes);
    let json = [("accept", "application/fhir+json")];
    let resource = world
        .fhir_with(&who, &format!("GET Binary/{id}"), &json, "")
        .status(200);
    let resource = resource.at("/resourceType", "Binary");
    assert!(
        resource.json()["data"]
            .as_str()
            .unwrap()
            .starts_with("AAECAw")
    );
    let html = [("content-type", "text/html")];
    let put = world.fhir_with(&who, "PUT Binary/mine", &html, "<script>alert(1)</script>");
    put.status(201).at("/id", "mine");
    let raw = world.fhir(&who, "GET Binary/mine", "").status(200);
    raw.header("content-type", "text/html")
        .header("content-disposition", "attachment");
    let put = world
        .fhir_with(&who, "PUT Binary/mine", &html, "<p>")
        .status(200);
    put.header("etag", "W/\"2\"");
}

#[test]
fn a_binary_can_be_a_resource_too() {
    let (world, who) = World::clinic();
    let body = r#"{"resourceType":"Binary","id":"b","contentType":"text/plain","data":"aGk="}"#;
    world.fhir(&who, "PUT Binary/b", body).status(201);
    let raw = world.fhir(&who, "GET Binary/b", "").status(200);
    assert_eq!(&raw.header("content-type", "text/plain").body[..], b"hi");
}

#[test]
fn binaries_are_bounded_and_guarded() {
    let world = World::with(|limits| limits.binary_bytes_max = 10, |_| {});
    world.tenant("lakeside");
    let who = world.client("lakeside", "system/*.cruds");
    let png = [("content-type", "image/png")];
    let refused = world.fhir_with(&who, "POST Binary", &png, vec![0; 11]);
    let refused = refused.refused(413, "limit-exceeded");
    refused.at("/issue/0/details/coding/1/code", "binary_bytes_max");
    world
        .fhir_with(&who, "POST Binary", &png, vec![])
        .refused(400, "body-empty");
    let reader = world.client("lakeside", "system/Binary.r");
    world
        .fhir_with(&reader, "POST Binary", &png, vec![0; 9])
        .refused(403, "scope-missing");
    let other = world.client("lakeside", "system/Patient.r");
    world
        .fhir(&other, "GET Binary/x", "")
        .refused(403, "scope-missing");
    world
        .fhir(&who, "GET Binary/x", "")
        .refused(404, "not-found");
}
