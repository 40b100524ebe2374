//! The authorization endpoint in a browser: to the sign-in, to the choice of a patient, to the
//! question, and back to the program.

use axum::body::Body;
use base::Code;
use engine::{AuthorizationAsked, AuthorizeRequest, Failure, Gate, Next, Visitor, form};
use http::{Response, StatusCode};

use super::{Browser, Fields, failed, pages, see};
use crate::call::Call;

/// `GET /t/{tenant}/auth/authorize`
pub(crate) async fn page(gate: Gate, call: Call) -> Result<Response<Body>, Failure> {
    let browser = Browser::of(&gate, &call);
    let query = call.query().to_owned();
    let done = show(&gate, &browser, &query).await;
    Ok(done.unwrap_or_else(|failure| failed(&gate, &failure)))
}

async fn show(gate: &Gate, browser: &Browser, query: &str) -> Result<Response<Body>, Failure> {
    let request = AuthorizeRequest::parse(query)?;
    let asked = gate.asked(&request, browser.request.at).await?;
    let visitor = browser.visitor(gate).await?;
    answer(gate, browser, &request, &asked, visitor.as_ref(), None).await
}

/// What is shown next, whoever asks.
async fn answer(
    gate: &Gate,
    browser: &Browser,
    request: &AuthorizeRequest,
    asked: &AuthorizationAsked,
    visitor: Option<&Visitor>,
    choice: Option<&Fields>,
) -> Result<Response<Body>, Failure> {
    let chosen = choice.and_then(|fields| fields.get("_patient"));
    let redirect = asked.redirect();
    match (asked.next(visitor, chosen.as_deref(), false), visitor) {
        (Next::Refuse(why), visitor) => {
            if let Some(visitor) = visitor {
                visitor.may_not_take(asked).await?;
            }
            Ok(see(&asked.refusal(why)))
        }
        (Next::ChoosePatient, Some(visitor)) => {
            let name = choice.and_then(|fields| fields.get("_find"));
            let found = match &name {
                Some(name) => Some(visitor.find_patients(name).await),
                None => None,
            };
            let token = browser.token(gate).await?;
            let page = pages::choose_patient(gate, &token, request, name.as_deref(), found);
            Ok(browser.page(StatusCode::OK, page, redirect))
        }
        (Next::Ask(question), Some(visitor)) => {
            let token = browser.token(gate).await?;
            let page = pages::question(gate, &token, request, visitor, &question);
            Ok(browser.page(StatusCode::OK, page, redirect))
        }
        _ => {
            // Who signs in now has proved who they are.
            let at_once = request.get("max_age") == Some("0");
            let met: &[&str] = if at_once {
                &["prompt", "max_age"]
            } else {
                &["prompt"]
            };
            let query = form::without(&request.query(), met);
            let next = form::encode(&format!("authorize?{query}")).replace('/', "%2F");
            let asked = request.get("prompt").unwrap_or_default();
            let again = at_once || asked.split(' ').any(|prompt| prompt == "login");
            let again = if again { "&again=1" } else { "" };
            let login = format!("/login?next={next}{again}");
            Ok(see(&gate.links().auth(&login)))
        }
    }
}

/// Bytes of a request by POST, which goes on as an address.
const POSTED_BYTES_MAX: usize = 8 << 10;

/// A request by POST (OpenID Connect Core 3.1.2.1, SMART `authorize-post`) goes on as one by GET, with which the
/// browser shows the session; none for what is the answer of a person.
fn as_address(gate: &Gate, fields: &Fields) -> Result<Option<Response<Body>>, Failure> {
    if fields.get("_form").is_some() || fields.get("client_id").is_none() {
        return Ok(None);
    }
    let query = AuthorizeRequest::parse(fields.text())?.query();
    if query.len() > POSTED_BYTES_MAX {
        let text = "the request is too long";
        return Err(Failure::new(Code::RequestInvalid, text));
    }
    Ok(Some(see(&gate
        .links()
        .auth(&format!("/authorize?{query}")))))
}

/// `POST /t/{tenant}/auth/authorize`: a program's request, or the answer of the person.
pub(crate) async fn decide(gate: Gate, call: Call) -> Result<Response<Body>, Failure> {
    let done = decided(&gate, call).await;
    Ok(done.unwrap_or_else(|failure| failed(&gate, &failure)))
}

async fn decided(gate: &Gate, mut call: Call) -> Result<Response<Body>, Failure> {
    let browser = Browser::of(gate, &call);
    let fields = Fields::read(&mut call).await?;
    if let Some(address) = as_address(gate, &fields)? {
        return Ok(address);
    }
    browser.own(gate, &fields).await?;
    let request = AuthorizeRequest::parse(fields.text())?;
    let asked = gate.asked(&request, browser.request.at).await?;
    let visitor = browser.visitor(gate).await?;
    let Some(visitor) = visitor else {
        return answer(gate, &browser, &request, &asked, None, None).await;
    };
    let chosen = fields.get("_patient");
    match fields.or_empty("_decision").as_str() {
        "approve" => match asked.next(Some(&visitor), chosen.as_deref(), true) {
            Next::Ask(_) => Ok(see(&visitor.approve(&asked, chosen.as_deref()).await?)),
            _ => {
                visitor.may_not_take(&asked).await?;
                Err(Failure::of(Code::FormForeign))
            }
        },
        "refuse" => Ok(see(&visitor.refuse(&asked).await?)),
        _ => {
            let fields = Some(&fields);
            answer(gate, &browser, &request, &asked, Some(&visitor), fields).await
        }
    }
}
