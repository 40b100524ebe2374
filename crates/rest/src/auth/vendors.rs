//! Vendors and program links in the browsers of those who administer the clinic: pages for people, and
//! the same as JSON. What moves a switch is a form of these pages, or JSON, which no page of another
//! origin can send.

use axum::body::Body;
use base::Code;
use engine::{
    Failure, LinkDraft, SwitchDraft, SwitchView, TermsView, VendorDraft, VendorView, Visitor,
};
use http::{Response, StatusCode};
use maud::{Markup, html};
use serde_json::json;

use super::people::said_json;
use super::{Fields, listing, pages, said};
use crate::admin::{answer, done};
use crate::call::Call;
use crate::vendors::Asked;

/// `GET /t/{tenant}/auth/vendors`
pub(crate) async fn list(by: Visitor, call: Call) -> Result<Response<Body>, Failure> {
    let found = by.caller().await?.vendors().await;
    listing(&by, call, ("vendors", found), |token, all| {
        listed(&by, token, all)
    })
    .await
}

/// `GET /t/{tenant}/auth/vendors/{vendor}`
pub(crate) async fn show(by: Visitor, call: Call) -> Result<Response<Body>, Failure> {
    let view = by.caller().await?.vendor(call.value("vendor")).await?;
    answer(StatusCode::OK, &view)
}

/// `POST /t/{tenant}/auth/vendors`
pub(crate) async fn propose(by: Visitor, mut call: Call) -> Result<Response<Body>, Failure> {
    let draft: VendorDraft = said_json(&mut call).await?;
    let made = by.caller().await?.propose_vendor(draft).await?;
    answer(StatusCode::CREATED, &made)
}

/// `POST /t/{tenant}/auth/vendors/{vendor}/switch`
pub(crate) async fn switch(by: Visitor, call: Call) -> Result<Response<Body>, Failure> {
    let vendor = call.value("vendor").to_owned();
    let read = |fields: Fields| async move {
        let terms = fields.get("terms").map(|n| n.parse()).transpose();
        Ok(SwitchDraft {
            hold: fields.or_empty("hold"),
            terms: terms.map_err(|_| Failure::new(Code::RequestInvalid, "terms is a number"))?,
            reason: fields.or_empty("reason"),
        })
    };
    said(&by, call, "/vendors", read, |draft| async {
        let view = by.caller().await?.switch_vendor(&vendor, draft).await?;
        answer(StatusCode::OK, &view)
    })
    .await
}

/// `GET /t/{tenant}/auth/vendors/{vendor}/activity?from=&to=&format=&by=`
pub(crate) async fn activity(by: Visitor, call: Call) -> Result<Response<Body>, Failure> {
    let asked = Asked::of(&call)?;
    let caller = by.caller().await?;
    let report = caller
        .vendor_activity(call.value("vendor"), &asked.times())
        .await?;
    asked.told(by.gate().name().as_str(), &report)
}

/// `GET /t/{tenant}/auth/links`
pub(crate) async fn links(by: Visitor, _: Call) -> Result<Response<Body>, Failure> {
    let links = by.caller().await?.program_links().await?;
    answer(StatusCode::OK, &json!({ "links": links }))
}

/// `POST /t/{tenant}/auth/links`
pub(crate) async fn keep_link(by: Visitor, mut call: Call) -> Result<Response<Body>, Failure> {
    let draft: LinkDraft = said_json(&mut call).await?;
    let kept = by.caller().await?.keep_link(draft).await?;
    answer(StatusCode::CREATED, &kept)
}

/// `DELETE /t/{tenant}/auth/links/{link}`
pub(crate) async fn drop_link(by: Visitor, call: Call) -> Result<Response<Body>, Failure> {
    by.caller().await?.drop_link(call.value("link")).await?;
    Ok(done())
}

fn listed(by: &Visitor, token: &str, vendors: &[VendorView]) -> Markup {
    let gate = by.gate();
    let body = html! {
        p { a href=(gate.links().auth("/account")) { "To your account" } }
        @if vendors.is_empty() { p { "No vendor was proposed to this clinic." } }
        @for vendor in vendors {
            section {
                h2 { (vendor.name()) " (" (vendor.vendor()) ")" }
                p { "State: " strong { (vendor.state()) } }
                ul {
                    @for (party, hold, reason) in vendor.switches().iter().map(SwitchView::words) {
                        li { "The " (party) " says " strong { (hold) }
                            @if !reason.is_empty() { ": " (reason) } }
                    }
                }
                @if let Some(terms) = vendor.terms() {
                    h3 { "Terms in force" }
                    (terms_of(terms))
                }
                @if let Some(terms) = vendor.proposal() {
                    h3 { "Terms that wait for this clinic" }
                    (terms_of(terms))
                }
                p { a href=(gate.links().auth(&format!("/vendors/{}/activity?format=html", vendor.vendor()))) {
                    "What " (vendor.name()) " did" } }
                (switch_form(by, token, vendor))
            }
        }
    };
    pages::page(gate, "Vendors", &body)
}

fn terms_of(terms: &TermsView) -> Markup {
    let contract = terms.contract();
    let facts = [
        ("Number", terms.number().to_string()),
        ("Data", contract.data.clone()),
        ("Types", contract.types.join(", ")),
        ("Purposes", contract.purposes.join(", ")),
        ("From", contract.from.clone()),
        ("Until", contract.until.clone()),
        ("Scopes", terms.scopes().join(" ")),
        ("Facilities", terms.facilities().join(", ")),
        ("Networks", terms.networks().join(", ")),
        ("Contact", contract.contact.clone()),
        ("Document", contract.document.clone()),
    ];
    html! {
        dl {
            @for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
                dt { (name) } dd { (value) }
            }
        }
    }
}

/// Forms with a reason, and a button for each place of the clinic's switch.
fn switch_form(by: &Visitor, token: &str, vendor: &VendorView) -> Markup {
    let id = vendor.vendor();
    let action = by.gate().links().auth(&format!("/vendors/{id}/switch"));
    let form = |number: u64, buttons: Markup| {
        let field = format!("reason-{id}-{number}");
        html! {
            form method="post" action=(action) {
                input type="hidden" name="_form" value=(token);
                input type="hidden" name="terms" value=(number);
                label for=(field) { "Why" }
                input type="text" name="reason" required id=(field) autocomplete="off";
                (buttons)
            }
        }
    };
    let place = |hold: &str, words: &str| {
        html! { button.second type="submit" name="hold" value=(hold) { (words) } }
    };
    let in_force = vendor.terms().map(|terms| {
        let buttons = html! {
            (place("enabled", "Enable"))
            (place("read-only", "Let read only"))
            (place("disabled", "Switch off"))
        };
        form(terms.number(), buttons)
    });
    let waiting = vendor.proposal().map(|terms| {
        let number = terms.number();
        let buttons = html! {
            button type="submit" name="hold" value="enabled" { "Enable on terms " (number) }
        };
        form(number, buttons)
    });
    html! {
        @if let Some(form) = in_force { (form) }
        @if let Some(form) = waiting { (form) }
    }
}
