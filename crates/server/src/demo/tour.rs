//! What `insula demo` prints: where the clinics are, what lets you in, and what to try.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use super::Opened;

/// The tour as text.
pub fn text(
    url: &str,
    operator_token: &Path,
    clinics: &[Opened],
    took: Duration,
    ends: bool,
) -> String {
    let mut out = String::new();
    let total: u64 = clinics.iter().map(|c| c.summary.total()).sum();
    let _ = writeln!(
        out,
        "\n{total} resources of invented people in {} clinics, loaded in {:.1} s.\n",
        clinics.len(),
        took.as_secs_f64()
    );
    for opened in clinics {
        let people = opened.summary.written.get("Patient").copied().unwrap_or(0);
        let _ = writeln!(
            out,
            "  {} ({people} patients, {} resources)\n    FHIR base      {}\n    client id      {}\n    \
             client secret  {}\n",
            opened.clinic.display,
            opened.summary.total(),
            opened.base,
            opened.client_id,
            opened.client_secret,
        );
    }
    let _ = writeln!(
        out,
        "  Operator token   {}\n  Health, metrics  {url}/health/ready, {url}/metrics\n",
        operator_token.display()
    );
    if let [first, second, third, ..] = clinics {
        try_this(&mut out, first, second, third);
    }
    if !ends {
        out.push_str("Ctrl-C stops the server and removes everything.\n");
    }
    out
}

fn try_this(out: &mut String, first: &Opened, second: &Opened, third: &Opened) {
    let user = |of: &Opened| format!("-u {}:{}", of.client_id, of.client_secret);
    let (u1, u2, u3) = (user(first), user(second), user(third));
    let (b1, b2, b3) = (&first.base, &second.base, &third.base);
    let token = &second.token_url;
    let display = first.clinic.display;
    let other = second.clinic.display;
    let _ = writeln!(
        out,
        "Try:\n\n  \
         # the patients of {display}, and what was done to one patient's teeth\n  \
         curl -s {u1} '{b1}/Patient?_count=3&_elements=name,birthDate'\n  \
         curl -s {u1} '{b1}/Procedure?patient=p1&_sort=-date&_include=Procedure:encounter'\n\n  \
         # a bearer token for {other}, and with it the newest blood pressures above 150\n  \
         TOKEN=$(curl -s {u2} -d grant_type=client_credentials {token} | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')\n  \
         curl -s -H \"Authorization: Bearer $TOKEN\" '{b2}/Observation?component-code-value-quantity=8480-6$gt150&_sort=-date&_count=5'\n\n  \
         # everybody with pneumonia, by the code that doctors use\n  \
         curl -s {u3} '{b3}/Condition?code=http://hl7.org/fhir/sid/icd-10-cm|J18.9&_include=Condition:subject'\n\n  \
         # the wall: {display}'s key does not open {other}'s door (401)\n  \
         curl -i {u1} '{b2}/Patient/p1'\n",
    );
}
