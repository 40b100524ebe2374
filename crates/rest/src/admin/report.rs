//! Who saw what of whom: the same report as lines of CSV (RFC 4180) and as a page for printing.

use std::fmt::Write;

use axum::body::Body;
use engine::{Access, AccessAsked, AccessReport, OpeningLine, OperatorWay, Touched};
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http::{HeaderValue, Response};

const COLUMNS: [&str; 9] = [
    "record",
    "at",
    "who",
    "actor",
    "action",
    "why",
    "break-glass",
    "patients",
    "what",
];

fn cells(access: &Access) -> [String; 9] {
    let patients: Vec<String> = access
        .patients
        .iter()
        .map(|id| format!("Patient/{}", id.as_str()))
        .collect();
    [
        access.number.to_string(),
        access.at.instant().to_string(),
        access.who.clone(),
        access.actor.clone(),
        access.action.to_owned(),
        access.why.clone().unwrap_or_default(),
        if access.break_glass { "yes" } else { "" }.to_owned(),
        patients.join(" "),
        access.what.join(" "),
    ]
}

const PATIENTS: [&str; 5] = ["patient", "reads", "writes", "first", "last"];

fn touched(line: &Touched) -> [String; 5] {
    [
        format!("Patient/{}", line.patient.as_str()),
        line.reads.to_string(),
        line.writes.to_string(),
        line.first.instant().to_string(),
        line.last.instant().to_string(),
    ]
}

const WAYS: [&str; 10] = [
    "kind", "id", "patient", "who", "actor", "why", "from", "until", "by", "said",
];

/// A patient who was opened, under which grant, and what was said about it.
fn opened(line: &OpeningLine) -> [String; 10] {
    let ended = line.ended_by.as_ref().map(|by| format!("ended by {by}"));
    let review = line.review.map(str::to_owned);
    let said: Vec<String> = ended.into_iter().chain(review).collect();
    [
        "break-glass".to_owned(),
        line.id.clone(),
        format!("Patient/{}", line.patient.as_str()),
        line.who.clone(),
        line.actor.clone(),
        format!("{} {}", line.purpose, line.why),
        line.from.instant().to_string(),
        line.until.instant().to_string(),
        line.grant.clone(),
        said.join(", "),
    ]
}

/// A way in that an operator made.
fn of_operator(line: &OperatorWay) -> [String; 10] {
    let kept = line.kept_by.as_ref().map(|by| format!("kept by {by}"));
    let ended = line.revoked.then(|| "ended".to_owned());
    let said: Vec<String> = kept.into_iter().chain(ended).collect();
    let until = line.until.map(|until| until.instant().to_string());
    [
        "operator".to_owned(),
        line.what.clone(),
        String::new(),
        line.name.clone(),
        line.what.clone(),
        line.why.clone(),
        line.from.instant().to_string(),
        until.unwrap_or_default(),
        line.by.clone(),
        said.join(", "),
    ]
}

/// What led to accesses beside what policy gives.
fn ways(report: &AccessReport) -> impl Iterator<Item = [String; 10]> {
    let opened = report.openings.iter().map(opened);
    opened.chain(report.operators.iter().map(of_operator))
}

/// What a report lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listed {
    /// Each access.
    Accesses,
    /// Each patient once.
    Patients,
    /// Openings, and the ways in of operators.
    Openings,
}

pub(crate) fn of(body: String, kind: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A cell of CSV.
pub(crate) fn quoted(cell: &str) -> String {
    // What a spreadsheet would take for a formula is kept a text.
    let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let mark = if formula { "'" } else { "" };
    format!("\"{mark}{}\"", cell.replace('"', "\"\""))
}

/// Lines of CSV with a head.
pub(crate) fn csv(report: &AccessReport, listed: Listed) -> Response<Body> {
    let mut out = String::new();
    let mut line = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| quoted(cell)).collect();
        out.push_str(&cells.join(","));
        out.push_str("\r\n");
    };
    let (columns, file) = match listed {
        Listed::Openings => {
            ways(report).for_each(|way| line(&way));
            (WAYS.join(","), "attachment; filename=\"openings.csv\"")
        }
        Listed::Patients => {
            let each = report.patients.iter();
            each.for_each(|patient| line(&touched(patient)));
            (PATIENTS.join(","), "attachment; filename=\"patients.csv\"")
        }
        Listed::Accesses => {
            let each = report.accesses.iter();
            each.for_each(|access| line(&cells(access)));
            (COLUMNS.join(","), "attachment; filename=\"accesses.csv\"")
        }
    };
    let out = format!("{columns}\r\n{out}");
    let mut response = of(out, "text/csv; charset=utf-8; header=present");
    let name = HeaderValue::from_static(file);
    response.headers_mut().insert(CONTENT_DISPOSITION, name);
    response
}

/// A table of HTML; cells are escaped, names are not.
pub(crate) fn table(
    out: &mut String,
    caption: &str,
    columns: &[&str],
    lines: impl Iterator<Item = Vec<String>>,
) {
    // Writing to a String does not fail.
    let _ = write!(out, "<table><caption>{caption}</caption><thead><tr>");
    for name in columns {
        let _ = write!(out, "<th scope=\"col\">{name}</th>");
    }
    out.push_str("</tr></thead><tbody>");
    for line in lines {
        out.push_str("<tr>");
        for cell in line {
            let _ = write!(out, "<td>{}</td>", escaped(&cell));
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table>");
}

/// How pages for printing look: dark on light on any screen, the heads of tables on every sheet, no line over two
/// sheets.
const STYLE: &str = "body{font:14px/1.4 sans-serif;margin:2em;color:#111;background:#fff}\
    table{border-collapse:collapse;width:100%;margin-bottom:2em}\
    th,td{border:1px solid #767676;padding:.3em .5em;text-align:left;vertical-align:top;overflow-wrap:anywhere}\
    thead{display:table-header-group}tr{break-inside:avoid}\
    caption{text-align:left;margin-bottom:.5em;font-weight:bold}dt{font-weight:bold}dd{overflow-wrap:anywhere}\
    @page{size:landscape;margin:1cm}@media print{body{margin:0;font-size:11px}}";

/// The beginning of a page for printing, up to its heading.
pub(crate) fn page_for_printing(heading: &str) -> String {
    let heading = escaped(heading);
    format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{heading}</title>\
         <style>{STYLE}</style></head><body><main><h1>{heading}</h1>"
    )
}

/// A page for printing, without script: the patients and the openings, and the accesses where those are asked
/// for.
pub(crate) fn html(
    tenant: &str,
    asked: &AccessAsked<'_>,
    report: &AccessReport,
    listed: Listed,
) -> Response<Body> {
    let mut out = page_for_printing("Who was shown what of whom");
    out.push_str("<dl>");
    let facts = [
        ("Tenant", Some(tenant)),
        ("Patient", asked.patient),
        ("By", asked.actor),
        ("From", asked.from),
        ("To", asked.to),
    ];
    for (name, value) in facts {
        if let Some(value) = value {
            // Writing to a String does not fail.
            let _ = write!(out, "<dt>{name}</dt><dd>{}</dd>", escaped(value));
        }
    }
    out.push_str("</dl>");
    let more = if report.more { ", and more" } else { "" };
    let caption = format!("{} patients{more}", report.patients.len());
    let patients = report.patients.iter().map(|p| touched(p).to_vec());
    table(&mut out, &caption, &PATIENTS, patients);
    let caption = format!(
        "{} patients opened in an emergency, {} ways in of operators{more}",
        report.openings.len(),
        report.operators.len()
    );
    table(&mut out, &caption, &WAYS, ways(report).map(Vec::from));
    if listed == Listed::Accesses {
        let caption = format!("{} accesses{more}", report.accesses.len());
        let accesses = report.accesses.iter().map(|a| cells(a).to_vec());
        table(&mut out, &caption, &COLUMNS, accesses);
    }
    out.push_str("</main></body></html>");
    let mut response = of(out, "text/html; charset=utf-8");
    let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'");
    response
        .headers_mut()
        .insert(CONTENT_SECURITY_POLICY, policy);
    response
}

pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}
