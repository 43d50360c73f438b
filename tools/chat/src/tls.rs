//! TLS with raw public keys (RFC 7250), without certificates and authorities. A
//! peer is identified by its Ed25519 key, which the rendezvous binds to its name
//! and which is pinned on first use.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{IdleTimeout, TransportConfig, VarInt};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureAlgorithm,
    SignatureScheme,
};
use session::identity::{Identity, PublicKey, verify};

/// The server name that the client gives. The verifier ignores it, and it would
/// be sent in the clear if it were a domain: it identifies nobody.
pub const SERVER_NAME: &str = "pinhole.invalid";

/// A path that is kept alive and has been silent for this many keepalive
/// intervals is lost, but not before the least silence.
const SILENT_FOR: u32 = 3;
const LEAST_SILENCE: Duration = Duration::from_secs(3);

const ALPN: &[u8] = b"pinhole-chat/1";

/// SubjectPublicKeyInfo of an Ed25519 key is this and the key (RFC 8410 §4).
const SPKI: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// The keys that the other end of a connection may have: those of the peers that
/// we were introduced to.
#[derive(Clone, Debug, Default)]
pub struct AllowedKeys(Arc<RwLock<HashSet<PublicKey>>>);

impl AllowedKeys {
    /// Allows a key.
    pub fn insert(&self, key: PublicKey) {
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        keys.insert(key);
    }

    /// Allows it no longer.
    pub fn remove(&self, key: &PublicKey) {
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        keys.remove(key);
    }

    fn check(&self, key: &CertificateDer<'_>) -> Result<(), Error> {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        match key_in(key) {
            Some(key) if keys.contains(&key) => Ok(()),
            _ => Err(Error::InvalidCertificate(
                CertificateError::ApplicationVerificationFailure,
            )),
        }
    }
}

/// The configuration for connecting to the owner of `peer`, over a path with the
/// round trip `rtt`, which gets a packet every `keepalive`.
///
/// # Errors
/// What rustls says of the configuration.
pub fn client(
    identity: &Identity,
    peer: PublicKey,
    rtt: Option<Duration>,
    keepalive: Duration,
) -> Result<quinn::ClientConfig, Error> {
    let only = AllowedKeys::default();
    only.insert(peer);
    let mut tls = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(only))
        .with_client_cert_resolver(Arc::new(
            rustls::client::AlwaysResolvesClientRawPublicKeys::new(certified(identity)),
        ));
    tls.alpn_protocols = vec![ALPN.to_vec()];
    let quic = QuicClientConfig::try_from(tls).map_err(|e| Error::General(e.to_string()))?;
    let mut config = quinn::ClientConfig::new(Arc::new(quic));
    config.transport_config(Arc::new(transport(rtt, keepalive)));
    Ok(config)
}

/// The configuration for answering the owners of the allowed keys.
///
/// # Errors
/// What rustls says of the configuration.
pub fn server(
    identity: &Identity,
    allowed: AllowedKeys,
    keepalive: Duration,
) -> Result<quinn::ServerConfig, Error> {
    let mut tls = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(Arc::new(allowed))
        .with_cert_resolver(Arc::new(
            rustls::server::AlwaysResolvesServerRawPublicKeys::new(certified(identity)),
        ));
    tls.alpn_protocols = vec![ALPN.to_vec()];
    let quic = QuicServerConfig::try_from(tls).map_err(|e| Error::General(e.to_string()))?;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(quic));
    config.transport_config(Arc::new(transport(None, keepalive)));
    Ok(config)
}

/// The key of the other end.
pub fn key_of(connection: &quinn::Connection) -> Option<PublicKey> {
    let identity = connection.peer_identity()?;
    let chain = identity.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    key_in(chain.first()?)
}

fn transport(rtt: Option<Duration>, keepalive: Duration) -> TransportConfig {
    let mut transport = TransportConfig::default();
    let silence = LEAST_SILENCE.max(SILENT_FOR * keepalive);
    let silence = VarInt::from_u32(silence.as_millis() as u32);
    transport
        .keep_alive_interval(Some(keepalive))
        .max_idle_timeout(Some(IdleTimeout::from(silence)))
        .max_concurrent_bidi_streams(VarInt::from_u32(1))
        .max_concurrent_uni_streams(VarInt::from_u32(8))
        .datagram_receive_buffer_size(None);
    if let Some(rtt) = rtt {
        // The punch has measured it. A lost first packet costs three of these.
        transport.initial_rtt(rtt.max(Duration::from_millis(10)));
    }
    transport
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn key_in(der: &[u8]) -> Option<PublicKey> {
    der.strip_prefix(&SPKI)?.try_into().ok()
}

fn certified(identity: &Identity) -> Arc<CertifiedKey> {
    let spki = [&SPKI[..], &identity.public()].concat();
    let key = Key {
        identity: identity.clone(),
        spki: spki.clone(),
    };
    Arc::new(CertifiedKey::new(
        vec![CertificateDer::from(spki)],
        Arc::new(key),
    ))
}

/// Our key in the form that rustls takes. The secret stays in the identity.
#[derive(Clone, Debug)]
struct Key {
    identity: Identity,
    spki: Vec<u8>,
}

impl SigningKey for Key {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let ours = offered.contains(&SignatureScheme::ED25519);
        ours.then(|| Box::new(self.clone()) as Box<dyn Signer>)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(SubjectPublicKeyInfoDer::from(self.spki.as_slice()))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ED25519
    }
}

impl Signer for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(self.identity.sign(message).to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

/// What both verifiers have in common: a signature proves the key, and there is
/// no chain of certificates.
macro_rules! raw_keys_alone {
    () => {
        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Err(Error::General("QUIC uses TLS 1.3 only".into()))
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            key: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            check(message, key, signed)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            vec![SignatureScheme::ED25519]
        }

        fn requires_raw_public_keys(&self) -> bool {
            true
        }
    };
}

impl ServerCertVerifier for AllowedKeys {
    fn verify_server_cert(
        &self,
        key: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(key).map(|()| ServerCertVerified::assertion())
    }

    raw_keys_alone!();
}

impl ClientCertVerifier for AllowedKeys {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        key: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(key).map(|()| ClientCertVerified::assertion())
    }

    raw_keys_alone!();
}

fn check(
    message: &[u8],
    key: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    let bad = || Error::InvalidCertificate(CertificateError::BadSignature);
    let key = key_in(key).ok_or_else(bad)?;
    let signature = signed.signature().try_into().map_err(|_| bad())?;
    match signed.scheme {
        SignatureScheme::ED25519 if verify(&key, message, signature) => {
            Ok(HandshakeSignatureValid::assertion())
        }
        _ => Err(bad()),
    }
}
