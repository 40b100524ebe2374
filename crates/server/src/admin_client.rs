//! The admin API as a program uses it: where the server is, the operator token, JSON in and out.
//!
//! Knows nothing of what the answers mean. Proxies named in the environment are not used: the
//! operator token goes to the server and nowhere else.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use base::{Secret, TenantName};
use clap::Args;
use rustls::CertificateError;
use serde_json::Value;
use ureq::Agent;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

/// Where the server is and what lets us in.
#[derive(Clone, Debug, Default, Args)]
pub struct Connect {
    /// Address of the server; default: `INSULA_URL`, else what `listen.json` in the data folder says.
    #[arg(long, global = true)]
    pub url: Option<String>,
    /// File with the operator token; default: `INSULA_TOKEN_FILE`, else `operator.token` in the data folder.
    #[arg(long, global = true, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Data folder of a server on this machine; default: `INSULA_DATA`, else `insula-data`.
    #[arg(long, global = true, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Certificates (PEM) to trust when the server speaks TLS; default: those of the public authorities.
    #[arg(long, global = true, value_name = "FILE")]
    pub ca: Option<PathBuf>,
}

/// Output for people or for programs.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct Output {
    /// Print JSON.
    #[arg(long, global = true)]
    pub json: bool,
}

/// A connection to the admin API.
#[derive(Clone, Debug)]
pub struct AdminClient {
    agent: Agent,
    url: String,
    token: std::sync::Arc<Secret<String>>,
    /// Whom to trust was named.
    has_ca: bool,
}

const DEFAULT_URL: &str = "http://127.0.0.1:8080";

impl Connect {
    /// The data folder.
    pub fn data_dir(&self) -> PathBuf {
        let named = self
            .data
            .clone()
            .or_else(|| std::env::var_os("INSULA_DATA").map(Into::into));
        named.unwrap_or_else(|| PathBuf::from("insula-data"))
    }

    /// The server's URL, without a final slash.
    ///
    /// # Errors
    /// A `listen.json` that cannot be read.
    pub fn server_url(&self) -> anyhow::Result<String> {
        let named = self
            .url
            .clone()
            .or_else(|| std::env::var("INSULA_URL").ok());
        let url = match named {
            Some(url) => url,
            None => listening(&self.data_dir())?.unwrap_or_else(|| DEFAULT_URL.to_owned()),
        };
        Ok(url.trim_end_matches('/').to_owned())
    }

    fn token(&self) -> anyhow::Result<Secret<String>> {
        let named = self.token_file.clone();
        let named = named.or_else(|| std::env::var_os("INSULA_TOKEN_FILE").map(Into::into));
        let path = named.unwrap_or_else(|| self.data_dir().join("operator.token"));
        let text = std::fs::read_to_string(&path).with_context(|| {
            format!(
                "cannot read the operator token {}: name the data folder of the server by --data \
                     or INSULA_DATA, or the token by --token-file",
                path.display()
            )
        })?;
        let token = text.trim();
        if let Some(why) = no_token(token) {
            bail!("{} holds no operator token: {why}", path.display());
        }
        Ok(Secret::new(token.to_owned()))
    }

    /// An agent that trusts what was said.
    ///
    /// # Errors
    /// A certificate file that cannot be read.
    pub fn agent(&self) -> anyhow::Result<Agent> {
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .user_agent("insula")
            .timeout_connect(Some(Duration::from_secs(10)));
        if let Some(path) = &self.ca {
            let pem =
                std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            let mut certificates = Vec::new();
            for item in parse_pem(&pem) {
                if let PemItem::Certificate(certificate) = item? {
                    certificates.push(certificate);
                }
            }
            if certificates.is_empty() {
                bail!("{} holds no certificate", path.display());
            }
            let roots = RootCerts::new_with_certs(&certificates);
            config = config.tls_config(TlsConfig::builder().root_certs(roots).build());
        }
        Ok(config.build().new_agent())
    }

    /// The admin API.
    ///
    /// # Errors
    /// No token, or files that cannot be read.
    pub fn admin(&self) -> anyhow::Result<AdminClient> {
        let token = std::sync::Arc::new(self.token()?);
        Ok(AdminClient {
            agent: self.agent()?,
            url: self.server_url()?,
            token,
            has_ca: self.ca.is_some(),
        })
    }
}

/// Why a text is no token.
fn no_token(text: &str) -> Option<&'static str> {
    match text {
        "" => Some("it is empty"),
        several if several.contains(['\n', '\r']) => Some("it has several lines, a token is one"),
        other if other.bytes().all(|b| b.is_ascii_graphic()) => None,
        _ => Some("it has blanks, or characters that no token has"),
    }
}

/// The address that a server wrote into its data folder, if there is one.
fn listening(dir: &Path) -> anyhow::Result<Option<String>> {
    let path = dir.join("listen.json");
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let value: Value =
        serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))?;
    Ok(value.get("url").and_then(Value::as_str).map(str::to_owned))
}

impl AdminClient {
    /// The server's URL, without a final slash.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The agent behind it.
    pub const fn agent(&self) -> &Agent {
        &self.agent
    }

    /// `GET /admin/v1{path}`
    ///
    /// # Errors
    /// The server is not there, or refuses.
    pub fn get(&self, path: &str) -> anyhow::Result<Value> {
        let request = self
            .agent
            .get(self.at(path))
            .header("authorization", self.bearer());
        self.answer(request.call())
    }

    /// `GET /admin/v1{path}`, whatever its content is, as text.
    ///
    /// # Errors
    /// The server is not there, or refuses.
    pub fn text(&self, path: &str) -> anyhow::Result<String> {
        let request = self
            .agent
            .get(self.at(path))
            .header("authorization", self.bearer());
        let mut response = request.call().map_err(|e| self.unreached(e))?;
        if response.status().is_success() {
            return Ok(response.body_mut().read_to_string()?);
        }
        self.answer(Ok(response)).map(|_| String::new())
    }

    /// `DELETE /admin/v1{path}`
    ///
    /// # Errors
    /// The server is not there, or refuses.
    pub fn delete(&self, path: &str) -> anyhow::Result<Value> {
        let request = self
            .agent
            .delete(self.at(path))
            .header("authorization", self.bearer());
        self.answer(request.call())
    }

    /// `POST /admin/v1{path}` with a JSON body, or none for null.
    ///
    /// # Errors
    /// The server is not there, or refuses.
    pub fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let request = self
            .agent
            .post(self.at(path))
            .header("authorization", self.bearer());
        if body.is_null() {
            return self.answer(request.send_empty());
        }
        let request = request.header("content-type", "application/json");
        self.answer(request.send(body.to_string().as_bytes()))
    }

    /// `PATCH /admin/v1{path}` with a JSON body.
    ///
    /// # Errors
    /// The server is not there, or refuses.
    pub fn patch(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let request = self
            .agent
            .patch(self.at(path))
            .header("authorization", self.bearer())
            .header("content-type", "application/json");
        self.answer(request.send(body.to_string().as_bytes()))
    }

    fn at(&self, path: &str) -> String {
        format!("{}/admin/v1{path}", self.url)
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token.expose())
    }

    fn unreached(&self, error: ureq::Error) -> anyhow::Error {
        let url = &self.url;
        if let Some(why) = certificate_error(&error) {
            return anyhow!("{url} is not trusted: {}", distrusted(why, self.has_ca));
        }
        let text = format!(
            "cannot reach {url}: is the server there? --url names another address, --data its data folder"
        );
        anyhow::Error::new(error).context(text)
    }

    fn answer(
        &self,
        response: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> anyhow::Result<Value> {
        let mut response = response.map_err(|e| self.unreached(e))?;
        let status = response.status();
        let text = response.body_mut().read_to_string()?;
        let value: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(value);
        }
        let part = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
        let (title, detail, code) = (part("title"), part("detail"), part("code"));
        // What happened here says more than what happens in general.
        match [detail, title].into_iter().find(|t| !t.is_empty()) {
            Some(said) => {
                let said = said.trim_end_matches('.');
                bail!("{said}{} ({code}, HTTP {})", hint(code), status.as_u16())
            }
            None => bail!("the server answered HTTP {}", status.as_u16()),
        }
    }
}

/// What is said where a server is not trusted; `has_ca`: somebody is named by `--ca`.
fn distrusted(why: &CertificateError, has_ca: bool) -> String {
    use CertificateError as C;
    let text = match why {
        C::UnknownIssuer if has_ca => {
            "its certificate is from nobody whom the file of --ca names; name there who signed it"
        }
        C::UnknownIssuer => {
            "its certificate is from nobody whom this machine trusts; name who signed it by --ca FILE"
        }
        C::NotValidForName | C::NotValidForNameContext { .. } => {
            "its certificate is for another name; say the name that it is for by --url"
        }
        C::Expired | C::ExpiredContext { .. } => "its certificate has expired",
        C::NotValidYet | C::NotValidYetContext { .. } => "its certificate is not valid yet",
        // The checker has no kind of its own for this.
        C::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            "its certificate is one of an authority (CA:TRUE), as openssl req -x509 makes them: a server shows one \
             that is not (-addext basicConstraints=critical,CA:FALSE), and --ca names that one, or who signed it"
        }
        other => return format!("its certificate is not good: {other}"),
    };
    text.to_owned()
}

/// Why a certificate was refused, where that is what an error is about.
fn certificate_error(error: &ureq::Error) -> Option<&CertificateError> {
    let inner = match error {
        ureq::Error::Io(e) => e.get_ref()?.downcast_ref::<rustls::Error>()?,
        ureq::Error::Rustls(e) => e,
        _ => return None,
    };
    match inner {
        rustls::Error::InvalidCertificate(why) => Some(why),
        _ => None,
    }
}

/// What whoever is told a code may do about it.
fn hint(code: &str) -> &'static str {
    match code {
        "tenant-unknown" => ": insula tenant list names those that there are",
        "client-unknown" => ": insula client list names those that there are",
        "person-unknown" => ": insula person list names those that there are",
        "vendor-unknown" => ": insula vendor list names those that there are",
        "provider-unknown" => ": insula identity-provider list names those that there are",
        "backup-unknown" => {
            ": a plain name lies in the server's folder for backups, a path is copied there"
        }
        "credentials-invalid" => {
            ": the token is no operator's, or not any more; name another by --token-file"
        }
        _ => "",
    }
}

/// The path of a tenant in the admin API. The name is checked first, so that it is one step of it.
///
/// # Errors
/// Not a tenant name.
pub fn tenant_path(name: &str, rest: &str) -> anyhow::Result<String> {
    let name = TenantName::new(name).with_context(|| format!("\"{name}\""))?;
    Ok(format!("/tenants/{name}{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_token_is_told_before_anybody_is_asked() {
        assert_eq!(no_token("0123abc-_.~+/="), None);
        for (text, word) in [
            ("", "empty"),
            ("import x\nprint(y)", "several lines"),
            ("a b", "blanks"),
            ("a\u{7}b", "characters"),
            ("schlüssel", "characters"),
        ] {
            assert!(no_token(text).unwrap().contains(word), "{text:?}");
        }
    }

    #[test]
    fn a_server_that_is_not_trusted_is_told_in_words() {
        let of = |why: CertificateError| {
            let inner = rustls::Error::InvalidCertificate(why);
            let error = ureq::Error::Io(std::io::Error::other(inner));
            certificate_error(&error).map(|why| distrusted(why, false))
        };
        let unknown = of(CertificateError::UnknownIssuer).unwrap();
        assert!(unknown.contains("--ca FILE"), "{unknown}");
        let name = of(CertificateError::NotValidForName).unwrap();
        assert!(name.contains("--url"), "{name}");
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        assert!(certificate_error(&ureq::Error::Io(refused)).is_none());
    }
}
