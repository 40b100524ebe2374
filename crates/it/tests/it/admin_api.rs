//! The admin API against its own description, by a program that makes requests out of descriptions.

use std::process::Command;

use testkit::outside;

use crate::world::own;

/// What is looked at. That everything which fits the description is taken is not asked: that a file is
/// there, or that a scope means something, no description says.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance,\
                      negative_data_rejection,unsupported_method,ignored_auth";

#[test]
fn schemathesis() {
    let Some(program) = outside::client("python/bin/schemathesis") else {
        return;
    };
    let world = own("schemathesis", &[]);
    let tenant = world.tenant();
    let server = world.server();
    let description = format!("http://{}/admin/v1/openapi.json", server.address());
    let header = format!("Authorization: Bearer {}", server.operator());
    let output = Command::new(program)
        .args(["run", &description, "--header", &header])
        .args(["--phases", "examples,coverage,fuzzing"])
        .args(["--max-examples", "5", "--seed", "1"])
        .args(["--generation-deterministic", "--no-color"])
        .args(["--checks", CHECKS])
        .current_dir(world.folder().path())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    // Whatever was asked of the house, it stands.
    drop(tenant);
    world.tenant().owner().search("Patient");
}
