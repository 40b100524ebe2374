//! A valid resource is made only by validation.
fn forge(valid: fhir::resource::Valid) -> fhir::resource::Valid {
    fhir::resource::Valid { ..valid }
}
fn main() {}
