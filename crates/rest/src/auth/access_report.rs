//! Who was shown what of whom, for those of the clinic who look at its trail: a form, and the report as JSON,
//! CSV or a page for printing.

use axum::body::Body;
use engine::{Failure, Gate, Visitor};
use http::{Response, StatusCode};
use maud::{Markup, html};

use super::{Browser, failed, pages, reads_pages};
use crate::admin::ReportWanted;
use crate::call::Call;

/// `GET /t/{tenant}/auth/access-report?patient=&actor=&from=&to=&format=&by=`
pub(crate) async fn show(by: Visitor, call: Call) -> Result<Response<Body>, Failure> {
    let (wanted, is_page) = (ReportWanted::of(&call), reads_pages(&call));
    let gate = by.gate();
    if is_page && wanted.as_ref().is_ok_and(ReportWanted::is_empty) {
        let browser = Browser::of(gate, &call);
        let may = by.caller().await?.alerts_are_seen().await;
        return Ok(match may {
            Ok(()) => browser.page(StatusCode::OK, asking(gate), ""),
            Err(failure) => failed(gate, &failure),
        });
    }
    drop(call);
    match reported(&by, wanted).await {
        Err(failure) if is_page => Ok(failed(gate, &failure)),
        other => other,
    }
}

async fn reported(
    by: &Visitor,
    wanted: Result<ReportWanted, Failure>,
) -> Result<Response<Body>, Failure> {
    let wanted = wanted?;
    let report = by.caller().await?.accesses(&wanted.asked()).await?;
    wanted.told(by.gate().name().as_str(), &report)
}

fn asking(gate: &Gate) -> Markup {
    let field = |name: &str, words: &str| {
        html! {
            label for=(name) { (words) }
            input id=(name) type="text" name=(name) autocomplete="off" spellcheck="false";
        }
    };
    let body = html! {
        p { a href=(gate.links().auth("/alerts")) { "To the alerts" } }
        p { "Every look is recorded, this one too." }
        form method="get" action=(gate.links().auth("/access-report")) {
            (field("patient", "Of which patient, by id"))
            (field("actor", "By whom: what they sign in with, or as the trail names them (client:…)"))
            (field("from", "From (2026-01-31, or an instant)"))
            (field("to", "Before"))
            label for="by" { "What is listed" }
            select #by name="by" {
                option value="access" { "Each access" }
                option value="patient" { "Each patient once" }
                option value="opening" { "Patients opened in an emergency, and ways in that operators made" }
            }
            label for="format" { "As" }
            select #format name="format" {
                option value="html" { "A page for printing" }
                option value="csv" { "CSV, for a spreadsheet" }
            }
            button type="submit" { "Show" }
        }
    };
    pages::page(gate, "Who was shown what of whom", &body)
}
