//! Configuration: one TOML file, each key also as `INSULA_SECTION__KEY` in the environment.
//!
//! [`KEYS`] lists every key with its default and a sentence; the documentation is generated from
//! it, and an unknown key is refused with the nearest known one. Reads no file and no environment
//! itself: text and variables come in.

use std::fmt::Write as _;
use std::path::PathBuf;

use base::{Limits, Network, NotANetwork};
use engine::{ProxyHeaders, ShippedAs};
use serde::Deserialize;
use store::{AuditMode, StoreConfig, Synchronous};
use toml::{Table, Value};

/// Everything that can be configured.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Address to listen on.
    pub listen: String,
    /// The data folder.
    pub data: PathBuf,
    /// The address that clients use, for links.
    pub public_url: Option<String>,
    /// Tenants are also served at `{tenant}.{domain}`.
    pub domain: Option<String>,
    /// Hosts that links may name when there is no `public_url`.
    pub allowed_hosts: Vec<String>,
    /// Origins whose pages may use the tenants.
    pub cors_origins: Vec<String>,
    /// Something before Insula speaks TLS.
    pub behind_tls_proxy: bool,
    /// Where proxies are that are believed what they say about a request.
    pub trusted_proxies: Vec<String>,
    /// Which headers these proxies write.
    pub proxy_headers: ProxyHeaders,
    /// Folder for backups; the only place where the admin API reads and writes files.
    pub backups: Option<PathBuf>,
    /// Certificate and key.
    pub tls: Tls,
    /// Sign-in.
    pub auth: Auth,
    /// Addresses outside.
    pub outbound: Outbound,
    /// The identity provider that all tenants may use.
    pub identity_provider: IdentityProvider,
    /// The audit journal.
    pub audit: Audit,
    /// How people are told of alerts.
    pub alerts: Alerts,
    /// The storage engine.
    pub storage: Storage,
    /// Logs.
    pub log: Log,
    /// All limits.
    pub limits: Limits,
}

/// `[tls]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Default)]
#[serde(default)]
pub struct Tls {
    /// PEM file with the certificate chain.
    pub cert: Option<PathBuf>,
    /// PEM file with the private key.
    pub key: Option<PathBuf>,
    /// Whether clients are asked for certificates of their own.
    pub client_certificates: bool,
    /// PEM file with the certificates of authorities that vouch for clients' names.
    pub client_authorities: Option<PathBuf>,
    /// PEM file with the lists of what authorities have revoked.
    pub client_revocations: Option<PathBuf>,
}

/// `[auth]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Auth {
    /// Life of an access token.
    pub access_token_seconds: u64,
    /// Life of a token of a way in for bulk loading.
    pub import_token_seconds: u64,
    /// Life of a way in for bulk loading.
    pub import_seconds_max: u64,
}

/// `[outbound]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Default)]
#[serde(default)]
pub struct Outbound {
    /// Networks that are not public and may be reached by https.
    pub networks: Vec<String>,
    /// Addresses of this machine may be reached, also without TLS.
    pub plain_loopback: bool,
    /// PEM file with certificates of authorities to trust in place of the public ones.
    pub roots: Option<PathBuf>,
}

/// `[identity_provider]`
#[derive(Clone, PartialEq, Eq, Deserialize, Default)]
#[serde(default)]
pub struct IdentityProvider {
    /// Its issuer.
    pub issuer: Option<String>,
    /// What the house is called there.
    pub client_id: Option<String>,
    /// File with what the house proves itself with there.
    pub client_secret_file: Option<PathBuf>,
}

impl std::fmt::Debug for IdentityProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IdentityProvider({:?})", self.issuer)
    }
}

/// `[audit]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Audit {
    /// `window` or `strict`.
    pub mode: AuditWhen,
    /// Longest time between an answer and its record's flush, in mode `window`.
    pub window_ms: u64,
    /// A folder, best on another machine, to which signed heads of the audit trails are written.
    pub heads: Option<PathBuf>,
    /// Days for which records of reads are kept where a tenant says nothing else; 0 for ever.
    pub retention_days: u32,
    /// A syslog receiver: `tls://host:port`, or `tcp://address:port` on this machine.
    pub syslog: Option<String>,
    /// How it gets events.
    pub syslog_form: ShippedAs,
    /// Whom its certificate is from (PEM).
    pub syslog_ca: Option<PathBuf>,
    /// The certificate that is shown to it (PEM).
    pub syslog_cert: Option<PathBuf>,
    /// The key of that certificate (PEM).
    pub syslog_key: Option<PathBuf>,
    /// Whether a TLS line that ends without `close_notify` has ended well.
    pub syslog_bare_end: bool,
    /// A file of OCSF events, one a line.
    pub ocsf: Option<PathBuf>,
    /// Signed heads go to the syslog receiver too.
    pub heads_syslog: bool,
    /// A webhook that is told of signed heads.
    pub heads_webhook: Option<String>,
    /// A file with what its calls are signed with.
    pub heads_webhook_secret: Option<PathBuf>,
}

/// How people are told of alerts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Alerts {
    /// The folder where mail waits for a gateway.
    pub mail_outbox: Option<PathBuf>,
    /// Whom mail is from.
    pub mail_from: String,
}

impl Default for Alerts {
    fn default() -> Self {
        Self {
            mail_outbox: None,
            mail_from: "insula@localhost".to_owned(),
        }
    }
}

/// When a read's record reaches the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuditWhen {
    /// At least every `window_ms`.
    Window,
    /// Before the answer.
    Strict,
}

/// `[storage]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Storage {
    /// `full` or `normal`.
    pub synchronous: Synchronous,
    /// Threads that read; 0 chooses.
    pub reader_threads: usize,
    /// Threads that write; 0 chooses. Half as many more write what is much.
    pub writer_threads: usize,
    /// Seconds between the deletion of a tenant and the destruction of its key.
    pub grace_seconds: u64,
}

/// `[log]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Log {
    /// `text` or `json`.
    pub format: LogFormat,
    /// A filter as `tracing` understands it: `info`, `warn,store=debug`, …
    pub filter: String,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// One key: dotted name, default as TOML, what it is for.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Dotted name.
    pub name: &'static str,
    /// Default, as it would stand in the file; empty for "not set".
    pub default: &'static str,
    /// What it is for.
    pub about: &'static str,
}

const fn key(name: &'static str, default: &'static str, about: &'static str) -> Key {
    Key {
        name,
        default,
        about,
    }
}

/// All keys except those of `[limits]`, which are `base::Limits::TABLE`.
pub const KEYS: &[Key] = &[
    key(
        "listen",
        "\"127.0.0.1:8080\"",
        "Address and port to listen on; port 0 chooses a free one.",
    ),
    key("data", "\"insula-data\"", "The data folder."),
    key(
        "public_url",
        "",
        "Address that clients use (`https://fhir.example.org`); links are built from it.",
    ),
    key(
        "domain",
        "",
        "When set, tenants are also served at `{tenant}.{domain}`.",
    ),
    key(
        "allowed_hosts",
        "[]",
        "Hosts that links may name when `public_url` is not set; others get the listening address.",
    ),
    key(
        "cors_origins",
        "[]",
        "Origins (`https://app.example`) whose pages may use the tenants; `*` for any. A tenant can list further ones.",
    ),
    key(
        "behind_tls_proxy",
        "false",
        "Plain HTTP on other than loopback addresses, because a proxy speaks TLS.",
    ),
    key(
        "trusted_proxies",
        "[]",
        "Addresses and networks (`10.0.0.0/8`) of proxies whose `Forwarded` and `X-Forwarded-*` headers are believed; they say who calls and, without `public_url`, what links name.",
    ),
    key(
        "proxy_headers",
        "\"either\"",
        "Which headers these proxies write: `\"forwarded\"` (RFC 7239), `\"x-forwarded\"`, or `\"either\"`: those that are there. The others mean nothing; with `either` a request that brings both is refused (400) where they differ.",
    ),
    key(
        "backups",
        "",
        "Folder for backups; the admin API reads and writes files nowhere else. Default: `backups` in the data folder.",
    ),
    key(
        "tls.cert",
        "",
        "PEM file with the certificate chain. Read again when it changes, and on SIGHUP.",
    ),
    key(
        "tls.key",
        "",
        "PEM file with the private key. Read again when it changes, and on SIGHUP.",
    ),
    key(
        "tls.client_certificates",
        "false",
        "Whether clients are asked for certificates of their own; nobody has to show one. What one is good for is said where programs are administered, by its SHA-256.",
    ),
    key(
        "tls.client_authorities",
        "",
        "PEM file with the certificates of authorities that vouch for the names in clients' certificates (`tls_client_auth`). Read again when it changes, and on SIGHUP.",
    ),
    key(
        "tls.client_revocations",
        "",
        "PEM file with the lists (CRL, RFC 5280) of certificates that authorities of `tls.client_authorities` have revoked. Of an authority without a list nothing is revoked; a list holds until another is there. Read again when it changes, and on SIGHUP.",
    ),
    key(
        "auth.access_token_seconds",
        "3600",
        "Life of an access token, in seconds.",
    ),
    key(
        "auth.import_token_seconds",
        "900",
        "Life of a token of a way in for bulk loading, in seconds; `insula import` renews it.",
    ),
    key(
        "auth.import_seconds_max",
        "604800",
        "Life of a way in for bulk loading, in seconds: no token of it is renewed after that.",
    ),
    key(
        "outbound.networks",
        "[]",
        "Addresses and networks (`10.0.0.0/8`) that are not public and may be asked by https all the same, for keys of clients and by sign-in at identity providers. Everything public may.",
    ),
    key(
        "outbound.plain_loopback",
        "false",
        "Addresses of this machine may be asked too, also by plain http: for trying things out.",
    ),
    key(
        "outbound.roots",
        "",
        "PEM file with the certificates of authorities that are trusted outside, in place of the public ones.",
    ),
    key(
        "identity_provider.issuer",
        "",
        "Issuer of an OpenID Connect provider that all tenants may use; each is told to by `insula identity-provider set --house`.",
    ),
    key(
        "identity_provider.client_id",
        "",
        "What the house is called there. It sends people back to `{public_url}/auth/callback`.",
    ),
    key(
        "identity_provider.client_secret_file",
        "",
        "File with what the house proves itself with there.",
    ),
    key(
        "audit.mode",
        "\"window\"",
        "`window`: the record of a read is flushed at least every `window_ms`; `strict`: before the answer.",
    ),
    key(
        "audit.window_ms",
        "50",
        "Milliseconds between two flushes of the audit journal.",
    ),
    key(
        "audit.heads",
        "",
        "A folder, best on another machine, to which signed heads of the audit trails are written.",
    ),
    key(
        "audit.syslog",
        "",
        "A syslog receiver that gets the audit trails (RFC 5424): `tls://host:port`, or `tcp://address:port` on this machine.",
    ),
    key(
        "audit.syslog_form",
        "\"rfc5424\"",
        "`rfc5424`: the text of a message is the AuditEvent; `ocsf`: an event of the Open Cybersecurity Schema Framework.",
    ),
    key(
        "audit.syslog_ca",
        "",
        "Certificates that the syslog receiver's must be from (PEM).",
    ),
    key(
        "audit.syslog_cert",
        "",
        "The certificate that is shown to the syslog receiver (PEM).",
    ),
    key(
        "audit.syslog_key",
        "",
        "The key of `audit.syslog_cert` (PEM).",
    ),
    key(
        "audit.syslog_bare_end",
        "false",
        "Whether a receiver may end a TLS line without `close_notify`, as rsyslog does with its driver for GnuTLS, and not with that for OpenSSL. Whoever is on the way to it may then end a line unseen, and what was on its way is not sent again.",
    ),
    key(
        "audit.ocsf",
        "",
        "A file that gets the audit trails as OCSF events, one a line.",
    ),
    key(
        "audit.heads_syslog",
        "false",
        "Whether signed heads of the audit trails go to `audit.syslog` too.",
    ),
    key(
        "audit.heads_webhook",
        "",
        "An address to which signed heads of the audit trails are posted.",
    ),
    key(
        "audit.heads_webhook_secret",
        "",
        "A file with what calls of `audit.heads_webhook` are signed with.",
    ),
    key(
        "alerts.mail_outbox",
        "",
        "A folder to which mails about alerts are written, for a mail gateway to pick up; without it there are none.",
    ),
    key(
        "alerts.mail_from",
        "\"insula@localhost\"",
        "Whom mails about alerts are from.",
    ),
    key(
        "audit.retention_days",
        "0",
        "Days for which records of reads and refusals are kept where a tenant's own `audit_retention_days` does not say otherwise; 0: for ever.",
    ),
    key(
        "storage.synchronous",
        "\"full\"",
        "`full`: a write is answered when it is on the disk; `normal`: when it is with the operating system, so a power cut may lose the last moments.",
    ),
    key(
        "storage.reader_threads",
        "0",
        "Threads that read; 0 chooses from the processors.",
    ),
    key(
        "storage.writer_threads",
        "0",
        "Threads that write; 0 chooses. Half as many more write what is much.",
    ),
    key(
        "storage.grace_seconds",
        "2592000",
        "Seconds between the deletion of a tenant and the destruction of its key.",
    ),
    key("log.format", "\"text\"", "`text` or `json`."),
    key(
        "log.filter",
        "\"info\"",
        "What is logged, by level and module.",
    ),
];

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".into(),
            data: "insula-data".into(),
            public_url: None,
            domain: None,
            allowed_hosts: Vec::new(),
            cors_origins: Vec::new(),
            behind_tls_proxy: false,
            trusted_proxies: Vec::new(),
            proxy_headers: ProxyHeaders::Either,
            backups: None,
            tls: Tls::default(),
            auth: Auth::default(),
            outbound: Outbound::default(),
            identity_provider: IdentityProvider::default(),
            audit: Audit::default(),
            alerts: Alerts::default(),
            storage: Storage::default(),
            log: Log::default(),
            limits: Limits::default(),
        }
    }
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            access_token_seconds: 3600,
            import_token_seconds: 900,
            import_seconds_max: 604_800,
        }
    }
}

impl Default for Audit {
    fn default() -> Self {
        Self {
            mode: AuditWhen::Window,
            window_ms: 50,
            heads: None,
            retention_days: 0,
            syslog: None,
            syslog_form: ShippedAs::Rfc5424,
            syslog_ca: None,
            syslog_cert: None,
            syslog_key: None,
            syslog_bare_end: false,
            ocsf: None,
            heads_syslog: false,
            heads_webhook: None,
            heads_webhook_secret: None,
        }
    }
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            synchronous: Synchronous::Full,
            reader_threads: 0,
            writer_threads: 0,
            grace_seconds: 2_592_000,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            filter: "info".into(),
        }
    }
}

/// Why a configuration was refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Not TOML.
    #[error("not valid TOML: {0}")]
    Syntax(String),
    /// A key that does not exist.
    #[error("unknown key `{key}`; did you mean `{nearest}`?")]
    Unknown {
        /// As written.
        key: String,
        /// The nearest key that exists.
        nearest: String,
    },
    /// A key that does not exist, in a table that does.
    #[error(
        "unknown key `{key}`: [{table}] has none like it; the book lists them under \"Configuration and limits\""
    )]
    UnknownIn {
        /// As written.
        key: String,
        /// The table.
        table: String,
    },
    /// A value of the wrong type.
    #[error("{0}")]
    Value(String),
    /// Keys that do not go together.
    #[error("{0}")]
    Contradiction(&'static str),
}

/// Prefix of environment variables.
const PREFIX: &str = "INSULA_";

/// Environment variables with the prefix that are not keys.
const NOT_KEYS: &[&str] = &["INSULA_SUITES", "INSULA_URL", "INSULA_TOKEN_FILE"];

impl Config {
    /// Reads a file's text and overrides it with environment variables.
    pub fn read(
        text: &str,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut table: Table = text
            .parse()
            .map_err(|e: toml::de::Error| ConfigError::Syntax(e.to_string()))?;
        let mut found = Vec::new();
        names(&table, "", &mut found);
        for name in found {
            known(&name, &name)?;
        }
        for (variable, value) in environment {
            let Some(rest) = variable.strip_prefix(PREFIX) else {
                continue;
            };
            if NOT_KEYS.contains(&variable.as_str()) {
                continue;
            }
            let name = rest.to_ascii_lowercase().replace("__", ".");
            known(&name, &variable)?;
            set(&mut table, &name, scalar(&name, &value));
        }
        let config: Self = table
            .try_into()
            .map_err(|e: toml::de::Error| ConfigError::Value(e.to_string()))?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        if !self.cors_origins.iter().all(|o| engine::is_origin(o)) {
            return Err(ConfigError::Contradiction(
                "an entry of cors_origins is \"*\" or like https://app.example:8443",
            ));
        }
        if self.tls.cert.is_some() != self.tls.key.is_some() {
            return Err(ConfigError::Contradiction(
                "tls.cert and tls.key go together",
            ));
        }
        if self.tls.client_authorities.is_some() && !self.tls.client_certificates {
            return Err(ConfigError::Contradiction(
                "tls.client_authorities goes with tls.client_certificates = true",
            ));
        }
        if self.tls.client_revocations.is_some() && self.tls.client_authorities.is_none() {
            return Err(ConfigError::Contradiction(
                "tls.client_revocations goes with tls.client_authorities",
            ));
        }
        if self.public_url.as_ref().is_some_and(|u| {
            !(u.starts_with("https://") || u.starts_with("http://")) || u.contains(['?', '#', ' '])
        }) {
            return Err(ConfigError::Contradiction(
                "public_url is an http or https URL",
            ));
        }
        if self
            .domain
            .as_ref()
            .is_some_and(|d| d.is_empty() || d.contains(['/', ':', ' ']))
        {
            return Err(ConfigError::Contradiction(
                "domain is a DNS name without port",
            ));
        }
        let lives = [
            self.auth.access_token_seconds,
            self.auth.import_token_seconds,
            self.auth.import_seconds_max,
        ];
        if lives.contains(&0) {
            return Err(ConfigError::Contradiction(
                "tokens live at least one second",
            ));
        }
        let provider = &self.identity_provider;
        if provider.issuer.is_some() != provider.client_id.is_some() {
            return Err(ConfigError::Contradiction(
                "identity_provider.issuer and identity_provider.client_id go together",
            ));
        }
        if self.audit.heads_syslog && self.audit.syslog.is_none() {
            return Err(ConfigError::Contradiction(
                "audit.heads_syslog goes with audit.syslog: that is where heads are sent",
            ));
        }
        let none = self
            .limits
            .values()
            .find(|(name, value)| *value == 0 && Limits::NEEDED.contains(name));
        if let Some((name, _)) = none {
            return Err(ConfigError::Value(format!(
                "limits.{name} is 0: nothing could be served"
            )));
        }
        self.outbound_networks()?;
        self.trusted_networks().map(drop)
    }

    /// The networks of `outbound.networks`.
    ///
    /// # Errors
    /// One of them is no network.
    pub fn outbound_networks(&self) -> Result<Vec<Network>, ConfigError> {
        let bad = |_: NotANetwork| {
            ConfigError::Contradiction(
                "outbound.networks are addresses and networks: 192.0.2.1, 10.0.0.0/8, fd00::/8",
            )
        };
        let networks = self.outbound.networks.iter().map(|text| text.parse());
        networks.collect::<Result<_, _>>().map_err(bad)
    }

    /// The networks of `trusted_proxies`.
    ///
    /// # Errors
    /// One of them is no network.
    pub fn trusted_networks(&self) -> Result<Vec<Network>, ConfigError> {
        let bad = |_: NotANetwork| {
            ConfigError::Contradiction(
                "trusted_proxies are addresses and networks: 192.0.2.1, 10.0.0.0/8, fd00::/8",
            )
        };
        let networks = self.trusted_proxies.iter().map(|text| text.parse());
        networks.collect::<Result<_, _>>().map_err(bad)
    }

    /// What the store needs to know.
    pub fn store(&self) -> StoreConfig {
        StoreConfig {
            dir: self.data.clone(),
            limits: self.limits.clone(),
            synchronous: self.storage.synchronous,
            audit: match self.audit.mode {
                AuditWhen::Window => AuditMode::Window(self.audit.window_ms),
                AuditWhen::Strict => AuditMode::Strict,
            },
            reader_threads: self.storage.reader_threads,
            writer_threads: self.storage.writer_threads,
            grace_seconds: self.storage.grace_seconds,
            heads: self.audit.heads.clone(),
            audit_retention_days: self.audit.retention_days,
            host: self.host(),
        }
    }

    /// What the house is called in the network: the host of its links, or of the address it listens on.
    fn host(&self) -> String {
        let url = self.public_url.as_deref().unwrap_or(&self.listen);
        let url = url.split_once("://").map_or(url, |(_, rest)| rest);
        let authority = url.split('/').next().unwrap_or(url);
        let (host, port) = authority.rsplit_once(':').unwrap_or((authority, ""));
        let host = match port.bytes().all(|b| b.is_ascii_digit()) {
            true => host,
            false => authority,
        };
        host.trim_matches(['[', ']']).to_owned()
    }

    /// The folder for backups.
    pub fn backup_dir(&self) -> PathBuf {
        self.backups
            .clone()
            .unwrap_or_else(|| self.data.join("backups"))
    }
}

/// All keys as Markdown, for the page `configuration.md` of the book.
pub fn markdown() -> String {
    let mut out = String::from(
        "# Configuration and limits\n\nOne TOML file, given with `--config`; `insula check-config FILE` checks \
         it. Each key can also be set in the environment: `auth.access_token_seconds` is \
         `INSULA_AUTH__ACCESS_TOKEN_SECONDS`. Unknown keys are errors.\n\n\
         | key | default | what |\n|---|---|---|\n",
    );
    for key in KEYS {
        let default = if key.default.is_empty() {
            "–".into()
        } else {
            format!("`{}`", key.default)
        };
        let _ = writeln!(out, "| `{}` | {default} | {} |", key.name, key.about);
    }
    out.push_str(
        "\n## Limits\n\nA refusal names the limit that was met.\n\n\
         | key | default | what |\n|---|---|---|\n",
    );
    for (name, default, about) in Limits::TABLE {
        let _ = writeln!(out, "| `limits.{name}` | `{default}` | {} |", about.trim());
    }
    out
}

/// Dotted names of all values of a table.
fn names(table: &Table, prefix: &str, out: &mut Vec<String>) {
    for (key, value) in table {
        let name = if prefix.is_empty() {
            key.clone()
        } else {
            format!("{prefix}.{key}")
        };
        match value {
            Value::Table(inner) => names(inner, &name, out),
            _ => out.push(name),
        }
    }
}

fn all_names() -> impl Iterator<Item = String> {
    let limits = Limits::TABLE
        .iter()
        .map(|(name, ..)| format!("limits.{name}"));
    KEYS.iter().map(|k| k.name.to_owned()).chain(limits)
}

fn known(name: &str, written: &str) -> Result<(), ConfigError> {
    if all_names().any(|n| n == name) {
        return Ok(());
    }
    let table = name.split_once('.').map(|(table, _)| format!("{table}."));
    let within = |n: &String| table.as_ref().is_some_and(|t| n.starts_with(t));
    // Who names a table looks for something in it.
    let all: Vec<String> = match all_names().any(|n| within(&n)) {
        true => all_names().filter(within).collect(),
        false => all_names().collect(),
    };
    let near = |n: &String| distance(n, name);
    let nearest = all.into_iter().min_by_key(near).unwrap_or_default();
    if let Some(table) = table.filter(|t| nearest.starts_with(t)) {
        let (own, table) = (name.len() - table.len(), table.trim_end_matches('.'));
        if near(&nearest) * 2 > own.max(1) {
            return Err(ConfigError::UnknownIn {
                key: written.to_owned(),
                table: table.to_owned(),
            });
        }
    }
    Err(ConfigError::Unknown {
        key: written.to_owned(),
        nearest,
    })
}

/// A value from the environment: numbers, booleans and lists as in TOML, anything else is text.
fn scalar(name: &str, text: &str) -> Value {
    let textual = KEYS
        .iter()
        .any(|k| k.name == name && (k.default.is_empty() || k.default.starts_with('"')));
    if !textual
        && let Ok(table) = format!("v = {text}").parse::<Table>()
        && let Some(value) = table.get("v")
    {
        return value.clone();
    }
    Value::String(text.to_owned())
}

fn set(table: &mut Table, name: &str, value: Value) {
    match name.split_once('.') {
        None => {
            table.insert(name.to_owned(), value);
        }
        Some((section, rest)) => {
            let inner = table
                .entry(section)
                .or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                set(inner, rest, value);
            }
        }
    }
}

/// Edit distance (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut before = i;
        let mut left = i + 1;
        let mut next = vec![left];
        for (y, above) in b.iter().zip(row.iter().skip(1)) {
            let cost = usize::from(x != *y);
            left = (before + cost).min(above + 1).min(left + 1);
            before = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests;
