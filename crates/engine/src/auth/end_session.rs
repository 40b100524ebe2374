//! Signing out at the wish of a program (OpenID Connect RP-Initiated Logout 1.0): what it asks for, looked
//! at. Ends nothing by itself.

use access::{ClientId, ClientRecord};
use base::Micros;
use jsonwebtoken::Algorithm;
use serde::Deserialize;

use super::authorize::{AuthorizeRequest, invalid, is_registered};
use super::keys::{header_of, key_set, verified};
use super::visitor::Visitor;
use crate::failure::Failure;
use crate::form;
use crate::house::Gate;

/// What a program asks for that wants its person signed out.
#[derive(Clone, Debug, Default)]
pub struct EndSession {
    /// The program's name, where it is known which one asks.
    pub client: Option<String>,
    /// Where the person is sent then.
    pub redirect: Option<String>,
    /// Whom it means.
    hint: Option<Hint>,
}

/// What an identity token of ours says about whose it is.
#[derive(Clone, Debug, Deserialize)]
struct Hint {
    iss: String,
    sub: String,
    aud: String,
    #[serde(default)]
    sid: Option<String>,
}

impl EndSession {
    /// Whether it is this session that it means: then nobody has to be asked (section 2).
    pub fn is_of(&self, visitor: &Visitor) -> bool {
        self.hint.as_ref().is_some_and(|hint| {
            let own = &visitor.session.record;
            hint.sub == visitor.person.record.id.as_str()
                && hint.sid.as_ref().is_none_or(|sid| **sid == *own.id)
        })
    }
}

impl Gate {
    /// Looks at a request of a program that wants its person signed out.
    ///
    /// # Errors
    /// `request-invalid` for an address that the program did not register, and for an identity token that
    /// is of another program.
    pub async fn end_session(
        &self,
        asked: &AuthorizeRequest,
        now: Micros,
    ) -> Result<EndSession, Failure> {
        let hint = match asked.get("id_token_hint") {
            Some(token) => self.hint(token).await?,
            None => None,
        };
        let named = asked.get("client_id");
        let said = hint.as_ref().map(|hint| hint.aud.as_str());
        if let (Some(named), Some(said)) = (named, said)
            && named != said
        {
            return Err(invalid(
                "id_token_hint is of another program than client_id",
            ));
        }
        let id = named.or(said).and_then(ClientId::new);
        let client = match id {
            Some(id) => self.store().client(&id).await?,
            None => None,
        };
        let client = client.filter(|client| client.is_good(now));
        let redirect = match asked.get("post_logout_redirect_uri") {
            Some(uri) => Some(sent(client.as_ref(), uri, asked.get("state"))?),
            None => None,
        };
        Ok(EndSession {
            client: client.map(|client| client.name),
            redirect,
            hint,
        })
    }

    /// Whose an identity token is that was signed here, however old it is; none for another one.
    async fn hint(&self, token: &str) -> Result<Option<Hint>, Failure> {
        let Some(header) = header_of(token).filter(|header| header.alg == Algorithm::RS256) else {
            return Ok(None);
        };
        let own = self.jwks().await?.to_string();
        let keys = key_set(own.as_bytes()).unwrap_or_default();
        let hint: Option<Hint> = verified(token, &header, &keys);
        Ok(hint.filter(|hint| hint.iss == self.links.issuer()))
    }
}

/// Where a program has people sent who signed out, with what it wants back.
fn sent(client: Option<&ClientRecord>, uri: &str, state: Option<&str>) -> Result<String, Failure> {
    let known = client.and_then(|client| client.program.as_ref());
    let known = known.is_some_and(|p| p.signed_out.iter().any(|known| is_registered(known, uri)));
    if !known {
        return Err(invalid(
            "post_logout_redirect_uri is none that a program of this clinic registered; name the program by \
             id_token_hint or client_id",
        ));
    }
    let Some(state) = state else {
        return Ok(uri.to_owned());
    };
    let mark = if uri.contains('?') { '&' } else { '?' };
    Ok(format!("{uri}{mark}state={}", form::encode(state)))
}
