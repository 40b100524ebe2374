//! Choosing among the clinics of a house: to the house's identity provider, and back to a page that lists
//! those where its visitor is known.

use axum::body::Body;
use engine::{Clinic, Failure};
use http::header::SET_COOKIE;
use http::{HeaderValue, Response, StatusCode};
use maud::{DOCTYPE, Markup, html};

use super::{cookie, see};
use crate::call::Call;

/// The cookie that whoever left comes back with: its name, and where it goes.
struct Kept {
    name: &'static str,
    attributes: String,
}

impl Kept {
    fn of(origin: &str) -> Self {
        let (scheme, rest) = origin.split_once("://").unwrap_or(("", origin));
        let path = rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("");
        let (name, secure) = match scheme {
            "https" => ("__Secure-insula-choosing", "; Secure"),
            _ => ("insula-choosing", ""),
        };
        Self {
            name,
            attributes: format!("; Path={path}/auth; HttpOnly; SameSite=Lax{secure}"),
        }
    }

    fn set(&self, response: &mut Response<Body>, value: &str, seconds: i64) {
        let (name, attributes) = (self.name, &self.attributes);
        let set = format!("{name}={value}; Max-Age={seconds}{attributes}");
        if let Ok(set) = HeaderValue::from_str(&set) {
            response.headers_mut().append(SET_COOKIE, set);
        }
    }
}

/// `GET /auth/choose`
pub(crate) async fn leave(call: Call) -> Result<Response<Body>, Failure> {
    let (house, reached) = (&call.house, call.reached());
    let departure = house.leave_to_choose(reached, call.request.at).await?;
    let mut response = see(&departure.url);
    let kept = Kept::of(&house.origin(reached));
    kept.set(&mut response, &departure.cookie, departure.seconds);
    Ok(response)
}

/// Back at `GET /auth/callback`.
pub(super) async fn arrive(call: Call) -> Result<Response<Body>, Failure> {
    let (house, reached) = (&call.house, call.reached());
    let origin = house.origin(reached);
    let kept = Kept::of(&origin);
    let journey = cookie(&call, kept.name).unwrap_or_default();
    let (from, now) = (call.from, call.request.at);
    let found = house.clinics(journey, call.query(), from, reached, now);
    let page = page(&origin, &found.await?);
    let mut response = super::html(StatusCode::OK, page, "");
    // One journey, one answer.
    kept.set(&mut response, "", 0);
    Ok(response)
}

fn page(origin: &str, clinics: &[Clinic]) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Choose a clinic" }
                link rel="stylesheet" href=(format!("{origin}/auth/style.css"));
            }
            body {
                main {
                    h1 { "Choose a clinic" }
                    @if clinics.is_empty() {
                        p { "No clinic here knows you by the account that you signed in with. Open the address \
                             that your clinic gave you, or ask whoever administers it." }
                    } @else {
                        p { "You are signed in to none of them before you choose one." }
                    }
                    @for clinic in clinics {
                        p { a.button href=(clinic.url) { (clinic.name) } }
                    }
                }
            }
        }
    }
}
