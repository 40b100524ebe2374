//! `insula login`: a person of a tenant signs in in their browser, and this machine gets an access token
//! of theirs: for commands that take `--bearer-file`, and for requests by hand.
//!
//! The authorization code flow of OAuth with PKCE (RFC 7636) and a loopback address (RFC 8252, section
//! 7.3). Knows nothing of what the token is good for: that the tenant's policy says.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use base::Rng;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use engine::form;
use ring::digest;
use serde_json::Value;

use crate::admin_client::{Connect, tenant_path};
use crate::world::SystemRng;

/// How long one connection may take to ask.
const PATIENCE: Duration = Duration::from_secs(2);

/// Arguments.
#[derive(Debug, Args)]
pub struct Login {
    #[command(flatten)]
    connect: Connect,
    /// The tenant.
    #[arg(long)]
    tenant: String,
    /// The id of a public program with the redirect URI `http://127.0.0.1/callback`.
    #[arg(long)]
    client: String,
    /// SMART scopes that are asked for.
    #[arg(long, default_value = "openid fhirUser user/*.cruds")]
    scope: String,
    /// The port of the redirect URI.
    #[arg(long, default_value_t = 8765)]
    port: u16,
    /// Where the token is written, readable by its owner only.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// The port is taken, the person is not let in, the server refuses the code.
pub fn run(args: &Login) -> anyhow::Result<()> {
    tenant_path(&args.tenant, "")?;
    let root = args.connect.server_url()?;
    let rng = SystemRng::system();
    let (verifier, state) = (word(&rng), word(&rng));
    let challenge = digest::digest(&digest::SHA256, verifier.as_bytes());
    let challenge = URL_SAFE_NO_PAD.encode(challenge.as_ref());
    let redirect = format!("http://127.0.0.1:{}/callback", args.port);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port)).with_context(|| {
        format!(
            "cannot listen on port {}: name another by --port; a program registered with \
                 http://127.0.0.1/callback takes any",
            args.port
        )
    })?;
    let auth = format!("{root}/t/{}/auth", args.tenant);
    let query = [
        ("response_type", "code"),
        ("client_id", &args.client),
        ("redirect_uri", &redirect),
        ("scope", &args.scope),
        ("state", &state),
        ("aud", &format!("{root}/t/{}/fhir", args.tenant)),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "Open this address in a browser and sign in:\n\n{auth}/authorize?{}\n",
        fields(&query)
    )?;
    out.flush()?;
    let code = sent_back(&listener, &state)?;
    let token = exchange(args, &format!("{auth}/token"), &code, &redirect, &verifier)?;
    keep(&args.to, &token)?;
    writeln!(out, "The token is in {}", args.to.display())?;
    Ok(())
}

fn word(rng: &SystemRng) -> String {
    let mut bytes = [0; 32];
    rng.fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

fn fields(all: &[(&str, &str)]) -> String {
    let each = all
        .iter()
        .map(|(name, value)| format!("{name}={}", form::encode(value)));
    each.collect::<Vec<_>>().join("&")
}

/// The code with which the browser comes back; other requests are answered and passed over.
fn sent_back(listener: &TcpListener, state: &str) -> anyhow::Result<String> {
    loop {
        let (stream, _) = listener.accept()?;
        // A browser connects ahead of what it will ask.
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let Some(query) = asked(&stream) else {
            tell(&stream, "404 Not Found", "There is nothing here.");
            continue;
        };
        if form::first(&query, "state").as_deref() != Some(state) {
            tell(&stream, "400 Bad Request", "This is of another sign-in.");
            continue;
        }
        if let Some(code) = form::first(&query, "code") {
            tell(
                &stream,
                "200 OK",
                "You are signed in. You can close this page.",
            );
            return Ok(code.into_owned());
        }
        tell(
            &stream,
            "200 OK",
            "You were not let in. You can close this page.",
        );
        let said = |name: &str| form::first(&query, name).unwrap_or_default().into_owned();
        bail!(
            "not let in: {} {}",
            said("error"),
            said("error_description")
        );
    }
}

/// The query of a request for the callback.
fn asked(stream: &TcpStream) -> Option<String> {
    const LINE_BYTES_MAX: u64 = 8 << 10;
    let mut line = String::new();
    let mut reader = BufReader::new(std::io::Read::take(stream, LINE_BYTES_MAX));
    reader.read_line(&mut line).ok()?;
    // The rest of the head is of no interest, and is read so that the answer arrives.
    let mut rest = String::new();
    while reader.read_line(&mut rest).ok()? > 2 {
        rest.clear();
    }
    let target = line.strip_prefix("GET ")?.split(' ').next()?;
    target.strip_prefix("/callback?").map(str::to_owned)
}

fn tell(mut stream: &TcpStream, status: &str, text: &str) {
    // A browser that went away needs no answer.
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: text/plain\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
        text.len()
    );
}

fn exchange(
    args: &Login,
    url: &str,
    code: &str,
    redirect: &str,
    verifier: &str,
) -> anyhow::Result<String> {
    let body = fields(&[
        ("grant_type", "authorization_code"),
        ("client_id", &args.client),
        ("code", code),
        ("redirect_uri", redirect),
        ("code_verifier", verifier),
    ]);
    let response = args
        .connect
        .agent()?
        .post(url)
        .header("content-type", "application/x-www-form-urlencoded")
        .send(body.as_bytes());
    let mut response = response.with_context(|| format!("cannot reach {url}"))?;
    let said: Value =
        serde_json::from_str(&response.body_mut().read_to_string()?).unwrap_or(Value::Null);
    let part = |name: &str| said.get(name).and_then(Value::as_str).unwrap_or_default();
    match part("access_token") {
        "" => bail!("no token: {} {}", part("error"), part("error_description")),
        token => Ok(token.to_owned()),
    }
}

fn keep(path: &Path, token: &str) -> anyhow::Result<()> {
    let about = || format!("cannot write {}", path.display());
    let _ = std::fs::remove_file(path);
    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(about)?;
    writeln!(file, "{token}").with_context(about)
}
