//! TLS at the street door: the certificate, which is read again when its files change or the process is
//! sent SIGHUP, and the certificates that clients show.
//!
//! A client's certificate does not have to be of an authority that is known. That the client holds its key
//! is checked: what it is good for is decided by its digest, where programs are known, or by its names,
//! where an authority of the configuration vouches for them.

mod names;

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use engine::{CertificateNames, ShownCertificate};
use parking_lot::RwLock;
use rest::ClientCertificate;
use ring::digest::{SHA256, digest};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{
    DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::config::Tls;

/// Between two looks at the files.
const LOOK: Duration = Duration::from_secs(10);

/// The certificate and key that are in use, and where they come from.
#[derive(Clone, Debug)]
pub(super) struct Door {
    files: Arc<Files>,
    current: Arc<Current>,
    authorities: Authorities,
    config: Arc<ServerConfig>,
}

#[derive(Debug)]
struct Files {
    cert: PathBuf,
    key: PathBuf,
    authorities: Option<PathBuf>,
    revocations: Option<PathBuf>,
}

#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

/// Who vouches for the names of clients' certificates.
type Authorities = Arc<RwLock<Checkers>>;
type Checkers = Arc<Vouching>;

/// Certificates of one chain that are looked at: one search for a way through them costs the more the more
/// there are, and is made before anybody is known.
const CHAIN_MAX: usize = 10;

#[derive(Debug, Default)]
struct Vouching {
    /// Each by the SHA-256 of its own certificate, with what checks that it does.
    each: Vec<([u8; 32], Arc<dyn ClientCertVerifier>)>,
    /// Whether any of them does: one search, however many they are.
    any: Option<Arc<dyn ClientCertVerifier>>,
}

impl Vouching {
    /// Those who vouch for the first certificate of a chain.
    fn of(&self, chain: &[CertificateDer<'static>], now: UnixTime) -> Vec<[u8; 32]> {
        let Some((first, others)) = chain.split_first() else {
            return Vec::new();
        };
        let by = |checker: &Arc<dyn ClientCertVerifier>| {
            checker.verify_client_cert(first, others, now).is_ok()
        };
        if chain.len() > CHAIN_MAX || !self.any.as_ref().is_some_and(by) {
            return Vec::new();
        }
        let theirs = self.each.iter().filter(|(_, checker)| by(checker));
        theirs.map(|(authority, _)| *authority).collect()
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().clone())
    }
}

impl Door {
    /// Reads certificate and key.
    pub(super) fn open(tls: &Tls) -> anyhow::Result<Self> {
        let together = "tls.cert and tls.key go together";
        let files = Files {
            cert: tls.cert.clone().context(together)?,
            key: tls.key.clone().context(together)?,
            authorities: tls.client_authorities.clone(),
            revocations: tls.client_revocations.clone(),
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let current = Arc::new(Current(RwLock::new(Arc::new(files.read(&provider)?))));
        let authorities = Arc::new(RwLock::new(files.authorities(&provider)?));
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?;
        let builder = match tls.client_certificates {
            true => builder.with_client_cert_verifier(Arc::new(Holder(provider))),
            false => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(current.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self {
            files: Arc::new(files),
            current,
            authorities,
            config: Arc::new(config),
        })
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config.clone())
    }

    fn read_again(&self) -> anyhow::Result<()> {
        // Each by itself: a pair that is half replaced does not keep out what was revoked.
        let provider = self.config.crypto_provider();
        let authorities = self.files.authorities(provider);
        let authorities = authorities.map(|fresh| *self.authorities.write() = fresh);
        *self.current.0.write() = Arc::new(self.files.read(provider)?);
        authorities
    }

    /// The certificate that the client of a connection showed, if it did.
    pub(super) fn shown(&self, connection: &rustls::ServerConnection) -> Option<Shown> {
        let chain: Vec<_> = connection.peer_certificates()?.to_vec();
        let chain: Vec<_> = chain.into_iter().map(CertificateDer::into_owned).collect();
        let (authorities, now) = (self.authorities.read().clone(), UnixTime::now());
        let found = judged(&chain, &authorities, now)?;
        Some(Shown(Arc::new(Seen {
            door: self.clone(),
            chain,
            judged: RwLock::new((now, authorities, found)),
        })))
    }

    /// Reads the files again when they change, until the server stops. What cannot be used is told, and
    /// what was in use stays so.
    pub(super) async fn renew(self, mut stop: watch::Receiver<bool>) {
        let Ok(mut hangup) = signal(SignalKind::hangup()) else {
            return;
        };
        let mut seen = self.files.times();
        loop {
            let asked = tokio::select! {
                _ = hangup.recv() => true,
                () = tokio::time::sleep(LOOK) => false,
                _ = stop.wait_for(|stop| *stop) => return,
            };
            let now = self.files.times();
            if !asked && now == seen {
                continue;
            }
            match self.read_again() {
                Ok(()) => {
                    seen = now;
                    tracing::info!("the TLS certificate was read again");
                }
                Err(error) => {
                    // Perhaps one of the two files was written and the other was not yet.
                    tracing::warn!("the TLS certificate stays as it was: {error:#}");
                }
            }
        }
    }
}

/// What a certificate is, as these authorities say now.
fn judged(
    chain: &[CertificateDer<'static>],
    all: &Checkers,
    now: UnixTime,
) -> Option<ClientCertificate> {
    let first = chain.first()?;
    let sha256 = digest(&SHA256, first);
    let vouch = all.of(chain, now);
    let named = (!vouch.is_empty()).then(|| names::read(first)).flatten();
    Some(ClientCertificate(Arc::new(ShownCertificate {
        sha256: *sha256.as_ref().first_chunk()?,
        names: named.map(|names| CertificateNames {
            only: vouch.len() == all.each.len(),
            authorities: vouch,
            ..names
        }),
    })))
}

/// The certificate that the client of a connection showed when it was made, judged again while it lasts.
#[derive(Clone)]
pub(super) struct Shown(Arc<Seen>);

struct Seen {
    door: Door,
    chain: Vec<CertificateDer<'static>>,
    /// When, by which authorities, and what came of it.
    judged: RwLock<(UnixTime, Checkers, ClientCertificate)>,
}

/// Seconds after which a certificate is judged again: its time may be over.
const JUDGED_SECONDS: u64 = 60;

impl Shown {
    /// What the certificate is now: authorities may say something else than when the connection was made.
    pub(super) fn now(&self) -> Option<ClientCertificate> {
        let seen = &*self.0;
        let (authorities, now) = (seen.door.authorities.read().clone(), UnixTime::now());
        {
            let (at, by, found) = &*seen.judged.read();
            let young = now.as_secs().saturating_sub(at.as_secs()) < JUDGED_SECONDS;
            if Arc::ptr_eq(by, &authorities) && (young || authorities.each.is_empty()) {
                return Some(found.clone());
            }
        }
        let found = judged(&seen.chain, &authorities, now)?;
        *seen.judged.write() = (now, authorities, found.clone());
        Some(found)
    }
}

impl Files {
    fn times(&self) -> [Option<SystemTime>; 4] {
        let time = |path: &Path| std::fs::metadata(path).and_then(|m| m.modified()).ok();
        let (authorities, revocations) = (self.authorities.as_deref(), self.revocations.as_deref());
        [
            time(&self.cert),
            time(&self.key),
            authorities.and_then(time),
            revocations.and_then(time),
        ]
    }

    /// What authorities have revoked.
    fn revoked(&self) -> anyhow::Result<Vec<CertificateRevocationListDer<'static>>> {
        let Some(path) = &self.revocations else {
            return Ok(Vec::new());
        };
        let file = File::open(path);
        let file = file.with_context(|| format!("cannot read {}", path.display()))?;
        let all = rustls_pemfile::crls(&mut BufReader::new(file)).collect::<Result<Vec<_>, _>>();
        let all = all.context("tls.client_revocations is not PEM")?;
        anyhow::ensure!(!all.is_empty(), "tls.client_revocations holds no list");
        Ok(all)
    }

    fn authorities(&self, provider: &Arc<CryptoProvider>) -> anyhow::Result<Checkers> {
        let Some(path) = &self.authorities else {
            return Ok(Arc::default());
        };
        let file = File::open(path);
        let file = file.with_context(|| format!("cannot read {}", path.display()))?;
        let revoked = self.revoked()?;
        let mut all: Vec<([u8; 32], Arc<dyn ClientCertVerifier>)> = Vec::new();
        let mut roots = RootCertStore::empty();
        let wrong = "tls.client_revocations holds what is no list of an authority";
        let checker = |roots: RootCertStore| {
            let checker =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
            // Whatever an authority has revoked is in its list; where there is none, nothing is.
            let checker = checker
                .with_crls(revoked.iter().cloned())
                .allow_unknown_revocation_status();
            checker.build().context(wrong)
        };
        for found in rustls_pemfile::certs(&mut BufReader::new(file)) {
            let found = found.context("tls.client_authorities is not PEM")?;
            let sha256 = digest(&SHA256, &found);
            let sha256 = *sha256.as_ref().first_chunk().context("a digest")?;
            let mut root = RootCertStore::empty();
            let added = root.add(found);
            added.context("tls.client_authorities holds what is no certificate of an authority")?;
            if all.iter().any(|(known, _)| *known == sha256) {
                continue;
            }
            roots.extend(root.roots.iter().cloned());
            all.push((sha256, checker(root)?));
        }
        anyhow::ensure!(
            !all.is_empty(),
            "tls.client_authorities holds no certificate"
        );
        Ok(Arc::new(Vouching {
            any: Some(checker(roots)?),
            each: all,
        }))
    }

    fn read(&self, provider: &CryptoProvider) -> anyhow::Result<CertifiedKey> {
        let open = |path: &Path| -> anyhow::Result<BufReader<File>> {
            let file = File::open(path);
            let file = file.with_context(|| format!("cannot read {}", path.display()))?;
            Ok(BufReader::new(file))
        };
        let chain = rustls_pemfile::certs(&mut open(&self.cert)?)
            .collect::<Result<Vec<_>, _>>()
            .context("tls.cert is not PEM")?;
        let key = rustls_pemfile::private_key(&mut open(&self.key)?)
            .context("tls.key is not PEM")?
            .context("tls.key holds no private key")?;
        CertifiedKey::from_der(chain, key, provider).context("tls.cert and tls.key do not fit")
    }
}

/// Takes every certificate whose key the client holds; none has to be shown.
#[derive(Debug)]
struct Holder(Arc<CryptoProvider>);

impl ClientCertVerifier for Holder {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, cert, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, cert, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.0.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rustls::ClientConfig;
    use rustls::pki_types::{PrivateKeyDer, ServerName};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_rustls::TlsConnector;

    use super::*;

    struct Made {
        cert: CertificateDer<'static>,
        key: PrivateKeyDer<'static>,
        pem: [String; 2],
    }

    fn made() -> Made {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key = made.signing_key.serialize_der();
        Made {
            pem: [made.cert.pem(), made.signing_key.serialize_pem()],
            cert: made.cert.der().clone(),
            key: PrivateKeyDer::Pkcs8(key.into()),
        }
    }

    fn put(tls: &Tls, made: &Made) {
        let [cert, key] = &made.pem;
        std::fs::write(tls.cert.as_ref().unwrap(), cert).unwrap();
        std::fs::write(tls.key.as_ref().unwrap(), key).unwrap();
    }

    /// What the door is told by a client that trusts one certificate, and shows one or none.
    async fn meet(
        door: &Door,
        trusted: &Made,
        own: Option<&Made>,
    ) -> std::io::Result<Option<ClientCertificate>> {
        let shown = seen(door, trusted, own).await?;
        Ok(shown.and_then(|shown| shown.now()))
    }

    async fn seen(
        door: &Door,
        trusted: &Made,
        own: Option<&Made>,
    ) -> std::io::Result<Option<Shown>> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(trusted.cert.clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match own {
            Some(own) => builder
                .with_client_auth_cert(vec![own.cert.clone()], own.key.clone_key())
                .unwrap(),
            None => builder.with_no_client_auth(),
        };
        let (near, far) = tokio::io::duplex(64 << 10);
        let (acceptor, door) = (door.acceptor(), door.clone());
        let server = tokio::spawn(async move {
            let mut stream = acceptor.accept(far).await?;
            stream.write_all(b"!").await?;
            stream.shutdown().await?;
            Ok::<_, std::io::Error>(door.shown(stream.get_ref().1))
        });
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let mut stream = connector.connect(name, near).await?;
        let mut told = String::new();
        stream.read_to_string(&mut told).await?;
        assert_eq!(told, "!");
        server.await.unwrap()
    }

    /// An authority, and the certificate of a program that it signed.
    fn signed(name: &str) -> (Made, Made) {
        let (authority, program, _) = signed_and_revoked(name);
        (authority, program)
    }

    /// The same, and the list in which the authority has revoked it.
    fn signed_and_revoked(name: &str) -> (Made, Made, String) {
        use rcgen::{
            BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType,
            SerialNumber,
        };
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // A list is of the authority that has its name.
        static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        params.distinguished_name = rcgen::DistinguishedName::new();
        let authority = format!("authority {count}");
        params
            .distinguished_name
            .push(DnType::CommonName, authority);
        let root = params.self_signed(&key).unwrap();
        let issuer = Issuer::new(params, &key);
        let own = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.serial_number = Some(SerialNumber::from(7));
        let address = std::net::IpAddr::from([10, 0, 0, 1]);
        params.subject_alt_names.push(SanType::IpAddress(address));
        let subject = &mut params.distinguished_name;
        *subject = rcgen::DistinguishedName::new();
        subject.push(DnType::CountryName, "DE");
        subject.push(DnType::OrganizationName, "Acme, Inc.");
        subject.push(DnType::CommonName, "Growth chart");
        let cert = params.signed_by(&own, &issuer).unwrap();
        let made = |cert: &rcgen::Certificate, key: &KeyPair| Made {
            pem: [cert.pem(), key.serialize_pem()],
            cert: cert.der().clone(),
            key: PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        };
        let list = rcgen::CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(2020, 1, 1),
            next_update: rcgen::date_time_ymd(2020, 2, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![rcgen::RevokedCertParams {
                serial_number: SerialNumber::from(7),
                revocation_time: rcgen::date_time_ymd(2020, 1, 1),
                reason_code: None,
                invalidity_date: None,
            }],
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&issuer).unwrap().pem().unwrap();
        (made(&root, &key), made(&cert, &own), list)
    }

    #[tokio::test]
    async fn a_certificate_that_is_revoked_counts_no_more_on_open_connections_either() {
        let dir = std::env::temp_dir().join(format!("insula-tls-crl-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let mut tls = Tls {
            cert: Some(dir.join("cert.pem")),
            key: Some(dir.join("key.pem")),
            client_certificates: true,
            client_authorities: Some(dir.join("authorities.pem")),
            client_revocations: None,
        };
        let own = made();
        put(&tls, &own);
        let (authority, program, list) = signed_and_revoked("chart.acme.example");
        let (another, stranger, other_list) = signed_and_revoked("chart.acme.example");
        let both = format!("{}{}", authority.pem[0], another.pem[0]);
        std::fs::write(tls.client_authorities.as_ref().unwrap(), both).unwrap();
        let revocations = dir.join("revoked.pem");
        tls.client_revocations = Some(revocations.clone());
        assert!(Door::open(&tls).is_err(), "no list is there");
        std::fs::write(&revocations, other_list).unwrap();
        let door = Door::open(&tls).unwrap();
        let open = seen(&door, &own, Some(&program)).await.unwrap().unwrap();
        let is_named = |shown: &Shown| shown.now().unwrap().0.names.is_some();
        assert!(is_named(&open));
        let strange = seen(&door, &own, Some(&stranger)).await.unwrap().unwrap();
        assert!(!is_named(&strange));
        // The other authority revokes as well.
        std::fs::write(&revocations, list).unwrap();
        door.read_again().unwrap();
        assert!(!is_named(&open) && is_named(&strange));
        // What cannot be read leaves what was in use.
        std::fs::write(
            &revocations,
            "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n",
        )
        .unwrap();
        assert!(door.read_again().is_err());
        assert!(!is_named(&open) && is_named(&strange));
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[tokio::test]
    async fn names_are_those_that_an_authority_vouches_for() {
        let dir = std::env::temp_dir().join(format!("insula-tls-ca-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let tls = Tls {
            cert: Some(dir.join("cert.pem")),
            key: Some(dir.join("key.pem")),
            client_certificates: true,
            client_authorities: Some(dir.join("authorities.pem")),
            client_revocations: None,
        };
        let own = made();
        put(&tls, &own);
        let (authority, program) = signed("chart.acme.example");
        let (another, stranger) = signed("chart.acme.example");
        let authorities = tls.client_authorities.as_ref().unwrap();
        std::fs::write(authorities, &authority.pem[0]).unwrap();
        let door = Door::open(&tls).unwrap();
        let names = |shown: Option<ClientCertificate>| shown.unwrap().0.names.clone();
        let found = names(meet(&door, &own, Some(&program)).await.unwrap()).unwrap();
        assert_eq!(
            found.subject.to_string(),
            r"CN=Growth\ chart,O=Acme\,\ Inc.,C=DE"
        );
        let subject = r"CN=Growth chart,O=Acme\, Inc.,C=DE";
        assert_eq!(
            Some(found.subject),
            engine::DistinguishedName::parse(subject)
        );
        assert_eq!(found.dns, ["chart.acme.example"]);
        assert_eq!(found.ip, [std::net::IpAddr::from([10, 0, 0, 1])]);
        for stranger in [&stranger, &made()] {
            assert_eq!(
                names(meet(&door, &own, Some(stranger)).await.unwrap()),
                None
            );
        }
        let sha256 = |made: &Made| *digest(&SHA256, &made.cert).as_ref().first_chunk().unwrap();
        assert_eq!(
            (found.authorities, found.only),
            (vec![sha256(&authority)], true)
        );
        // Of two each speaks for its own.
        let both = format!("{}{}", authority.pem[0], another.pem[0]);
        std::fs::write(authorities, both).unwrap();
        door.read_again().unwrap();
        for (shown, by) in [(&program, &authority), (&stranger, &another)] {
            let found = names(meet(&door, &own, Some(shown)).await.unwrap()).unwrap();
            assert_eq!((found.authorities, found.only), (vec![sha256(by)], false));
        }
        // Authorities change while the door is open.
        std::fs::write(authorities, &another.pem[0]).unwrap();
        door.read_again().unwrap();
        assert!(names(meet(&door, &own, Some(&stranger)).await.unwrap()).is_some());
        assert_eq!(
            names(meet(&door, &own, Some(&program)).await.unwrap()),
            None
        );
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[tokio::test]
    async fn a_certificate_is_replaced_while_the_door_is_open() {
        let dir = std::env::temp_dir().join(format!("insula-tls-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let tls = Tls {
            cert: Some(dir.join("cert.pem")),
            key: Some(dir.join("key.pem")),
            client_certificates: true,
            client_authorities: None,
            client_revocations: None,
        };
        let (old, new, program) = (made(), made(), made());
        put(&tls, &old);
        let door = Door::open(&tls).unwrap();
        assert_eq!(meet(&door, &old, None).await.unwrap(), None);
        assert!(meet(&door, &new, None).await.is_err());
        // Half of a new pair: what was in use stays.
        std::fs::write(tls.key.as_ref().unwrap(), &new.pem[1]).unwrap();
        assert!(door.read_again().is_err());
        assert_eq!(meet(&door, &old, None).await.unwrap(), None);
        put(&tls, &new);
        door.read_again().unwrap();
        assert!(meet(&door, &old, None).await.is_err());
        // A client's own certificate is known by its digest.
        let sha256 = digest(&SHA256, &program.cert);
        let wanted = ClientCertificate(Arc::new(ShownCertificate {
            sha256: *sha256.as_ref().first_chunk().unwrap(),
            names: None,
        }));
        let told = meet(&door, &new, Some(&program)).await.unwrap();
        assert_eq!(told, Some(wanted));
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
