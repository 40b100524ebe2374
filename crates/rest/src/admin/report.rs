//! Who saw what of whom: the same report as lines of CSV (RFC 4180) and as a page for printing.

use std::fmt::Write;

use axum::body::Body;
use engine::{Access, AccessAsked, AccessReport};
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http::{HeaderValue, Response};

const COLUMNS: [&str; 6] = ["record", "at", "who", "action", "patients", "what"];

fn cells(access: &Access) -> [String; 6] {
    let patients: Vec<String> = access
        .patients
        .iter()
        .map(|id| format!("Patient/{}", id.as_str()))
        .collect();
    [
        access.number.to_string(),
        access.at.instant().to_string(),
        access.actor.clone(),
        access.action.to_owned(),
        patients.join(" "),
        access.what.join(" "),
    ]
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
pub(super) fn csv(report: &AccessReport) -> Response<Body> {
    let mut out = COLUMNS.join(",");
    out.push_str("\r\n");
    for access in &report.accesses {
        let cells: Vec<String> = cells(access).iter().map(|cell| quoted(cell)).collect();
        out.push_str(&cells.join(","));
        out.push_str("\r\n");
    }
    let mut response = of(out, "text/csv; charset=utf-8; header=present");
    let name = HeaderValue::from_static("attachment; filename=\"accesses.csv\"");
    response.headers_mut().insert(CONTENT_DISPOSITION, name);
    response
}

/// A page for printing, without script.
pub(super) fn html(tenant: &str, asked: &AccessAsked<'_>, report: &AccessReport) -> Response<Body> {
    let mut out = String::from(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Accesses</title><style>\
         body{font:14px/1.4 sans-serif;margin:2em;color:#111;background:#fff}table{border-collapse:collapse;width:100%}\
         th,td{border:1px solid #767676;padding:.3em .5em;text-align:left;vertical-align:top;overflow-wrap:anywhere}\
         thead{display:table-header-group}tr{break-inside:avoid}caption{text-align:left;margin-bottom:.5em}\
         </style></head><body><main><h1>Who was shown what of whom</h1><dl>",
    );
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
    let count = report.accesses.len();
    let more = if report.more { ", and more" } else { "" };
    let _ = write!(
        out,
        "</dl><table><caption>{count} accesses{more}</caption><thead><tr>"
    );
    for name in COLUMNS {
        let _ = write!(out, "<th scope=\"col\">{name}</th>");
    }
    out.push_str("</tr></thead><tbody>");
    for access in &report.accesses {
        out.push_str("<tr>");
        for cell in cells(access) {
            let _ = write!(out, "<td>{}</td>", escaped(&cell));
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table></main></body></html>");
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
