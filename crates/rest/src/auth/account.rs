//! One's own account: sessions, approvals, password, one-time codes.

use axum::body::Body;
use base::Code;
use engine::{Failure, Going, Proving, Visitor};
use http::header::SET_COOKIE;
use http::{Response, StatusCode};

use super::sign_in::{answered, is_told};
use super::{Browser, Fields, failed, pages, see};
use crate::call::Call;

/// `GET /t/{tenant}/auth/account`
pub(crate) async fn page(visitor: Visitor, call: Call) -> Result<Response<Body>, Failure> {
    let gate = visitor.gate();
    let browser = Browser::of(gate, &call);
    let token = browser.token(gate).await?;
    let caller = visitor.caller().await.ok();
    let attends = caller.as_ref().is_some_and(engine::Session::attends);
    let opens = caller
        .as_ref()
        .is_some_and(engine::Session::looks_at_openings);
    let outdated = match &caller {
        Some(caller) => caller.outdated_policy().await?,
        None => None,
    };
    let page = pages::account(
        gate,
        &token,
        &visitor.account().await?,
        (visitor.administers(), attends, opens),
        outdated.as_deref(),
    );
    Ok(browser.page(StatusCode::OK, page, ""))
}

/// `POST /t/{tenant}/auth/account/{action}`
pub(crate) async fn act(visitor: Visitor, mut call: Call) -> Result<Response<Body>, Failure> {
    let gate = visitor.gate().clone();
    let action = call.value("action").to_owned();
    let done = acted(&visitor, &mut call, &action).await;
    Ok(done.unwrap_or_else(|failure| failed(&gate, &failure)))
}

/// What a form shows of whoever sends it.
struct Shown {
    password: String,
    code: String,
    passkey: (String, String),
}

impl Shown {
    fn of(fields: &Fields) -> Self {
        let field = |name| fields.or_empty(name);
        Self {
            password: field("password"),
            code: field("code"),
            passkey: (field("state"), field("answer")),
        }
    }

    fn proving<'a>(&'a self, browser: &'a Browser) -> Proving<'a> {
        Proving {
            password: &self.password,
            code: &self.code,
            passkey: (&self.passkey.0, &self.passkey.1),
            browser: &browser.form,
        }
    }
}

/// What is done only by somebody who has shown all that they sign in with.
const PROVED: [&str; 7] = [
    "begin-passkey",
    "remove-passkey",
    "begin-totp",
    "end-totp",
    "link",
    "unlink",
    "password",
];

async fn acted(
    visitor: &Visitor,
    call: &mut Call,
    action: &str,
) -> Result<Response<Body>, Failure> {
    let gate = visitor.gate();
    let browser = Browser::of(gate, call);
    let fields = browser.fields(gate, call).await?;
    let field = |name| fields.or_empty(name);
    match action {
        "sign-out" => {
            visitor.sign_out().await?;
            let mut response = see(&gate.links().auth("/login"));
            let cookies = &browser.cookies;
            if let Some(set) = cookies.set(&cookies.session, "", Some(0)) {
                response.headers_mut().append(SET_COOKIE, set);
            }
            return Ok(response);
        }
        "end-session" => visitor.end_session(&field("id")).await?,
        "end-other-sessions" => visitor.end_other_sessions().await?,
        "refuse-invitation" => visitor.refuse_invitation(&field("id")).await?,
        "end-approval" => visitor.end_approval(&field("id")).await?,
        "password" => {
            let new = field("new");
            if new != field("again") {
                let text = "the two passwords are not the same";
                return Err(Failure::new(Code::PasswordRefused, text));
            }
            let mut shown = Shown::of(&fields);
            if shown.password.is_empty() {
                shown.password = field("old");
            }
            visitor
                .change_password(shown.proving(&browser), &new)
                .await?;
        }
        "begin-totp" => {
            let (secret, link) = visitor
                .begin_totp(Shown::of(&fields).proving(&browser))
                .await?;
            let token = browser.token(gate).await?;
            let page = pages::begin_totp(gate, &token, (&secret, &link), None);
            return Ok(browser.page(StatusCode::OK, page, ""));
        }
        "confirm-totp" => {
            let codes = match (
                visitor.confirm_totp(&field("code")).await,
                visitor.begun_totp(),
            ) {
                (Ok(codes), _) => codes,
                (Err(wrong), Some((secret, link))) if is_told(&wrong) => {
                    let token = browser.token(gate).await?;
                    let page = pages::begin_totp(gate, &token, (&secret, &link), Some(&wrong));
                    return Ok(answered(&browser, page, "", Some(&wrong)));
                }
                (Err(failure), _) => return Err(failure),
            };
            if !codes.is_empty() {
                let page = pages::recovery_codes(gate, &codes);
                return Ok(browser.page(StatusCode::OK, page, ""));
            }
        }
        "prove" => {
            let what = field("what");
            let what = PROVED.iter().find(|known| **known == what);
            let what = what.ok_or(Failure::of(Code::RouteUnknown))?;
            let question = visitor.ask_own_passkey(&browser.form).await?;
            let token = browser.token(gate).await?;
            let of = ["id", "issuer", "subject"].map(|name| (name, field(name)));
            let asks = (*what, &of[..], visitor.has_password());
            let page = pages::prove(gate, &token, asks, question.as_ref());
            return Ok(browser.page_for_passkeys(gate, StatusCode::OK, page, ""));
        }
        "begin-passkey" => {
            let shown = Shown::of(&fields);
            let question = visitor.begin_passkey(shown.proving(&browser)).await?;
            let token = browser.token(gate).await?;
            let page = pages::begin_passkey(gate, &token, &question);
            return Ok(browser.page_for_passkeys(gate, StatusCode::OK, page, ""));
        }
        "add-passkey" => {
            let (state, answer, name) = (field("state"), field("answer"), field("name"));
            let codes = visitor
                .add_passkey((&state, &answer), &name, &browser.form)
                .await?;
            if !codes.is_empty() {
                let page = pages::recovery_codes(gate, &codes);
                return Ok(browser.page(StatusCode::OK, page, ""));
            }
        }
        "remove-passkey" => {
            let shown = Shown::of(&fields);
            let proving = shown.proving(&browser);
            visitor.remove_passkey(&field("id"), proving).await?;
        }
        "link" => {
            let (id, shown) = (field("id"), Shown::of(&fields));
            let (by, shown) = (visitor, shown.proving(&browser));
            let going = Going::Link { by, shown };
            let departure = gate.depart(&id, going, browser.request.at).await?;
            let page = pages::link(gate, &departure.url);
            let mut response = browser.page(StatusCode::OK, page, "");
            browser.keep_journey(&mut response, &departure);
            return Ok(response);
        }
        "unlink" => {
            let (issuer, subject, shown) = (field("issuer"), field("subject"), Shown::of(&fields));
            let proving = shown.proving(&browser);
            visitor.unlink((&issuer, &subject), proving).await?;
        }
        "end-totp" => {
            let shown = Shown::of(&fields);
            visitor.end_totp(shown.proving(&browser)).await?;
        }
        _ => return Err(Failure::of(Code::RouteUnknown)),
    }
    Ok(see(&gate.links().auth("/account")))
}
