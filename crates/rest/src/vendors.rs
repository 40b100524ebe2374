//! Vendors of tenants in the admin API, and the report of what one did in its three forms.

use std::fmt::Write;

use axum::body::Body;
use base::Code;
use engine::{
    ActivityAsked, ActivityDay, ActivityReport, Failure, Operator, SwitchDraft, VendorDraft, form,
};
use http::header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY};
use http::{HeaderValue, Response, StatusCode};
use serde_json::json;

use crate::admin::report::{escaped, of, page_for_printing, quoted, table};
use crate::admin::{answer, located};
use crate::call::Call;

/// `GET /admin/v1/tenants/{name}/vendors`
pub(crate) async fn list(by: Operator, call: Call) -> Result<Response<Body>, Failure> {
    let vendors = by.vendors(call.value("name")).await?;
    answer(StatusCode::OK, &json!({ "vendors": vendors }))
}

/// `POST /admin/v1/tenants/{name}/vendors`: terms are put forward.
pub(crate) async fn propose(by: Operator, mut call: Call) -> Result<Response<Body>, Failure> {
    let draft: VendorDraft = call.json().await?;
    let name = call.value("name");
    let made = by.propose_vendor(name, draft).await?;
    let location = format!("/admin/v1/tenants/{name}/vendors/{}", made.vendor());
    Ok(located(answer(StatusCode::CREATED, &made)?, &location))
}

/// `GET /admin/v1/tenants/{name}/vendors/{vendor}`
pub(crate) async fn show(by: Operator, call: Call) -> Result<Response<Body>, Failure> {
    let view = by.vendor(call.value("name"), call.value("vendor")).await?;
    answer(StatusCode::OK, &view)
}

/// `POST /admin/v1/tenants/{name}/vendors/{vendor}/switch`: the operator's own.
pub(crate) async fn switch(by: Operator, mut call: Call) -> Result<Response<Body>, Failure> {
    let draft: SwitchDraft = call.json().await?;
    let (name, vendor) = (call.value("name"), call.value("vendor"));
    answer(
        StatusCode::OK,
        &by.switch_vendor(name, vendor, draft).await?,
    )
}

/// `GET /admin/v1/tenants/{name}/vendors/{vendor}/activity?from=&to=&format=&by=`
pub(crate) async fn activity(by: Operator, call: Call) -> Result<Response<Body>, Failure> {
    let asked = Asked::of(&call)?;
    let (name, vendor) = (call.value("name"), call.value("vendor"));
    let report = by.vendor_activity(name, vendor, &asked.times()).await?;
    asked.told(name, &report)
}

/// What is asked of a report.
pub(crate) struct Asked {
    from: Option<String>,
    to: Option<String>,
    format: String,
    by: By,
}

/// By what a report of lines goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Day,
    Patient,
    Purpose,
}

impl Asked {
    /// # Errors
    /// `request-invalid`
    pub(crate) fn of(call: &Call) -> Result<Self, Failure> {
        let [from, to, format, by] = ["from", "to", "format", "by"]
            .map(|name| form::first(call.query(), name).map(std::borrow::Cow::into_owned));
        let (format, by) = (format.unwrap_or_default(), by.unwrap_or_default());
        let known = matches!(&*format, "" | "json" | "csv" | "html");
        let by = match &*by {
            "" | "day" => Some(By::Day),
            "patient" => Some(By::Patient),
            "purpose" => Some(By::Purpose),
            _ => None,
        };
        let Some(by) = by.filter(|_| known) else {
            let text = "format is json, csv or html, and by is day, patient or purpose";
            return Err(Failure::new(Code::RequestInvalid, text));
        };
        Ok(Self {
            from,
            to,
            format,
            by,
        })
    }

    pub(crate) fn times(&self) -> ActivityAsked<'_> {
        ActivityAsked {
            from: self.from.as_deref(),
            to: self.to.as_deref(),
        }
    }

    /// The report in the form that was asked for.
    ///
    /// # Errors
    /// None but `internal`.
    pub(crate) fn told(
        &self,
        tenant: &str,
        report: &ActivityReport,
    ) -> Result<Response<Body>, Failure> {
        match &*self.format {
            "csv" => Ok(csv(report, self.by)),
            "html" => Ok(html(tenant, self, report)),
            _ => answer(StatusCode::OK, report),
        }
    }
}

const DAYS: [&str; 6] = ["day", "client", "type", "reads", "writes", "outside"];
const PURPOSES: [&str; 3] = ["purpose", "requests", "agreed"];
const PATIENTS: [&str; 5] = ["patient", "reads", "writes", "first", "last"];

fn day(line: &ActivityDay) -> Vec<String> {
    vec![
        line.day.clone(),
        line.client.clone(),
        line.type_name.clone(),
        line.volume.reads.to_string(),
        line.volume.writes.to_string(),
        line.outside.join(" "),
    ]
}

fn days(report: &ActivityReport) -> impl Iterator<Item = Vec<String>> {
    let refused = report.refusals.iter().map(|line| {
        let what = format!("refused {} times: {}", line.count, line.code);
        vec![
            line.day.clone(),
            String::new(),
            String::new(),
            String::new(),
            String::new(),
            what,
        ]
    });
    report.days.iter().map(day).chain(refused)
}

fn purposes(report: &ActivityReport) -> impl Iterator<Item = Vec<String>> {
    report.purposes.iter().map(|line| {
        let purpose = match line.purpose.as_str() {
            "" => "none named",
            purpose => purpose,
        };
        let agreed = if line.agreed { "yes" } else { "no" };
        vec![
            purpose.to_owned(),
            line.requests.to_string(),
            agreed.to_owned(),
        ]
    })
}

fn patients(report: &ActivityReport) -> impl Iterator<Item = Vec<String>> {
    report.patients.iter().map(|line| {
        vec![
            format!("Patient/{}", line.patient),
            line.volume.reads.to_string(),
            line.volume.writes.to_string(),
            line.first.clone(),
            line.last.clone(),
        ]
    })
}

/// Lines of CSV (RFC 4180) with a head.
fn csv(report: &ActivityReport, by: By) -> Response<Body> {
    let (columns, lines): (&[&str], Vec<Vec<String>>) = match by {
        By::Patient => (&PATIENTS, patients(report).collect()),
        By::Purpose => (&PURPOSES, purposes(report).collect()),
        By::Day => (&DAYS, days(report).collect()),
    };
    let mut out = columns.join(",");
    out.push_str("\r\n");
    for line in lines {
        let cells: Vec<String> = line.iter().map(|cell| quoted(cell)).collect();
        out.push_str(&cells.join(","));
        out.push_str("\r\n");
    }
    let mut response = of(out, "text/csv; charset=utf-8; header=present");
    let name = HeaderValue::from_static("attachment; filename=\"activity.csv\"");
    response.headers_mut().insert(CONTENT_DISPOSITION, name);
    response
}

/// A page for printing, without script.
fn html(tenant: &str, asked: &Asked, report: &ActivityReport) -> Response<Body> {
    let mut out = page_for_printing(&format!("What {} did", report.name));
    out.push_str("<dl>");
    let mut fact = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = write!(out, "<dt>{name}</dt><dd>{}</dd>", escaped(value));
        }
    };
    fact("Tenant", tenant);
    fact("Vendor", &report.vendor);
    fact("State", report.state);
    fact("From", asked.from.as_deref().unwrap_or_default());
    fact("To", asked.to.as_deref().unwrap_or_default());
    if let Some(terms) = &report.terms {
        let contract = terms.contract();
        fact("Contract", &contract.document);
        fact("Data agreed", &contract.data);
        fact("Types agreed", &contract.types.join(", "));
        fact("Purposes agreed", &contract.purposes.join(", "));
        fact("Runs from", &contract.from);
        fact("Runs until", &contract.until);
        fact("Contact", &contract.contact);
        fact("Scopes", &terms.scopes().join(" "));
    }
    let told = |reads: u64, writes: u64| format!("{reads} read, {writes} written");
    fact(
        "Resources",
        &told(report.volume.reads, report.volume.writes),
    );
    let outside = report.outside;
    fact(
        "Of these outside of the contract",
        &told(outside.reads, outside.writes),
    );
    fact("Requests refused", &report.refused.to_string());
    fact("Patients", &report.patients.len().to_string());
    if report.more {
        fact("Note", "There is more than is told apart here.");
    }
    out.push_str("</dl>");
    table(&mut out, "By day, client and type", &DAYS, days(report));
    table(&mut out, "By purpose of use", &PURPOSES, purposes(report));
    table(&mut out, "By patient", &PATIENTS, patients(report));
    out.push_str("</main></body></html>");
    let mut response = of(out, "text/html; charset=utf-8");
    let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'");
    response
        .headers_mut()
        .insert(CONTENT_SECURITY_POLICY, policy);
    response
}
