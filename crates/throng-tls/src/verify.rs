//! Decides whether a client accepts the certificate of a server.

use crate::rsa;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use webpki::EndEntityCert;

/// Faults of a server's certificate for which rustls has no error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    /// It is an authority's.
    #[error("the certificate is an authority's")]
    Authority,
    /// Its RSA key has less than 2,048 bits, and signatures with it cannot be verified.
    #[error("the certificate's RSA key is too short")]
    ShortKey,
}

impl From<Unfit> for Error {
    fn from(unfit: Unfit) -> Error {
        CertificateError::Other(OtherError(Arc::new(unfit))).into()
    }
}

/// Which certificates are accepted.
#[derive(Clone, Debug)]
pub(crate) enum Trust {
    /// Any.
    Any,
    /// Those signed by the authorities, and those that are trusted themselves.
    Chains {
        webpki: Arc<dyn ServerCertVerifier>,
        trusted: Arc<[CertificateDer<'static>]>,
    },
}

impl Trust {
    /// Trusts the authorities that `webpki` knows, and the certificates in `trusted`.
    pub fn chains(
        webpki: Arc<WebPkiServerVerifier>,
        trusted: Vec<CertificateDer<'static>>,
    ) -> Trust {
        let trusted = trusted.into();
        Trust::Chains { webpki, trusted }
    }

    /// Verifies the certificate of a server.
    ///
    /// Many servers have a self-signed certificate that claims to be an authority, as `openssl req -x509` makes it.
    /// webpki accepts no authority as a server, even a trusted one; curl and OpenSSL do. So does this, for the right
    /// name, if the same certificate is in the file of authorities.
    fn judge(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<(), Error> {
        let Trust::Chains { webpki, trusted } = self else {
            return Ok(());
        };
        let verdict = webpki.verify_server_cert(end_entity, intermediates, name, ocsp, now);
        let other = matches!(
            verdict,
            Err(Error::InvalidCertificate(CertificateError::Other(_)))
        );
        match verdict {
            Err(_) if other && trusted.iter().any(|t| t == end_entity) => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, name)
            }
            Err(error) if is_authority(&error) => Err(match signed_itself(end_entity) {
                true => CertificateError::UnknownIssuer.into(),
                false => Unfit::Authority.into(),
            }),
            verdict => verdict.map(|_| ()),
        }
    }
}

/// Whether webpki refused a certificate because it is an authority's.
fn is_authority(error: &Error) -> bool {
    let Error::InvalidCertificate(CertificateError::Other(other)) = error else {
        return false;
    };
    matches!(
        other.0.downcast_ref(),
        Some(webpki::Error::CaUsedAsEndEntity)
    )
}

/// Whether a certificate names itself as its authority.
fn signed_itself(certificate: &CertificateDer<'_>) -> bool {
    EndEntityCert::try_from(certificate).is_ok_and(|cert| cert.issuer() == cert.subject())
}

/// How long an accepted chain is accepted again without verification, in seconds.
const REMEMBER_S: u64 = 60;

/// Verifies the certificates of servers, and remembers the last accepted chain of each, whose signatures are then
/// not verified again for each connection: that is half the time of a client's handshake. The server's signature of
/// the handshake itself is verified each time, also with [`Trust::Any`], so that a handshake costs what it usually
/// does.
///
/// Each worker has one, so its lock is never contended.
#[derive(Debug)]
pub(crate) struct Verifier {
    trust: Trust,
    algorithms: WebPkiSupportedAlgorithms,
    accepted: Mutex<HashMap<ServerName<'static>, Accepted>>,
}

#[derive(Debug)]
struct Accepted {
    /// The certificate of the server first.
    chain: Vec<CertificateDer<'static>>,
    until_s: u64,
}

impl Accepted {
    fn is(&self, end_entity: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>]) -> bool {
        self.chain
            .split_first()
            .is_some_and(|(first, others)| first == end_entity && others == intermediates)
    }
}

impl Verifier {
    /// A verifier that supports these signature algorithms.
    pub fn new(trust: Trust, algorithms: WebPkiSupportedAlgorithms) -> Verifier {
        Verifier {
            trust,
            algorithms,
            accepted: Mutex::default(),
        }
    }

    /// Accepts a signature that was not verified if it cannot be, and any certificate is accepted: that of a key
    /// of an unusual size, or of a certificate that webpki cannot read (version 1, for example).
    fn unless_unverifiable(
        &self,
        cert: &CertificateDer<'_>,
        verdict: Result<HandshakeSignatureValid, Error>,
    ) -> Result<HandshakeSignatureValid, Error> {
        let Err(error) = verdict else {
            return verdict;
        };
        let read = ParsedCertificate::try_from(cert);
        let bits = read
            .as_ref()
            .ok()
            .and_then(|cert| rsa::bits(&cert.subject_public_key_info()));
        let unusual = bits.is_some_and(|bits| !rsa::VERIFIABLE.contains(&bits));
        match self.trust {
            Trust::Any if unusual || read.is_err() => Ok(HandshakeSignatureValid::assertion()),
            Trust::Chains { .. } if bits.is_some_and(|n| n < *rsa::VERIFIABLE.start()) => {
                Err(Unfit::ShortKey.into())
            }
            _ => Err(error),
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if matches!(self.trust, Trust::Any) {
            return Ok(ServerCertVerified::assertion());
        }
        let mut accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        let name = name.to_owned();
        let known = accepted.get(&name);
        if known.is_some_and(|a| now.as_secs() < a.until_s && a.is(end_entity, intermediates)) {
            return Ok(ServerCertVerified::assertion());
        }
        self.trust
            .judge(end_entity, intermediates, &name, ocsp, now)?;
        let chain = [end_entity].into_iter().chain(intermediates);
        let chain = chain.map(|c| c.clone().into_owned()).collect();
        let until_s = now.as_secs() + REMEMBER_S;
        accepted.insert(name, Accepted { chain, until_s });
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let verdict = verify_tls12_signature(message, cert, signature, &self.algorithms);
        self.unless_unverifiable(cert, verdict)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let verdict = verify_tls13_signature(message, cert, signature, &self.algorithms);
        self.unless_unverifiable(cert, verdict)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use std::time::Duration;

    /// Accepts certificates that begin with "good", and counts the calls.
    #[derive(Debug, Default)]
    struct Asked(AtomicUsize);

    impl ServerCertVerifier for Asked {
        fn verify_server_cert(
            &self,
            end_entity: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            self.0.fetch_add(1, Relaxed);
            match end_entity.starts_with(b"good") {
                true => Ok(ServerCertVerified::assertion()),
                false => Err(CertificateError::UnknownIssuer.into()),
            }
        }

        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Err(Error::DecryptError)
        }

        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Err(Error::DecryptError)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            Vec::new()
        }
    }

    #[test]
    fn only_the_same_chain_for_the_same_name_is_accepted_without_verification() {
        let asked = Arc::new(Asked::default());
        let trust = Trust::Chains {
            webpki: asked.clone(),
            trusted: Arc::new([]),
        };
        let algorithms = config::client_provider().signature_verification_algorithms;
        let verifier = Verifier::new(trust, algorithms);
        let der = |bytes: &'static [u8]| CertificateDer::from(bytes);
        let second = Duration::from_secs;
        for (certificate, others, name, at, accepted, looks) in [
            (&b"good"[..], vec![], "a.test", 0, true, 1),
            (b"good", vec![], "a.test", 59, true, 1),
            (b"good", vec![], "b.test", 59, true, 2),
            (b"good", vec![der(b"x")], "a.test", 59, true, 3),
            (b"good", vec![], "a.test", 59, true, 4),
            (b"bad", vec![], "a.test", 60, false, 5),
            (b"bad", vec![], "a.test", 61, false, 6),
            (b"good", vec![], "a.test", 61, true, 6),
            (b"good", vec![], "a.test", 119, true, 7),
        ] {
            let verdict = verifier.verify_server_cert(
                &der(certificate),
                &others,
                &ServerName::try_from(name).unwrap(),
                &[],
                UnixTime::since_unix_epoch(second(at)),
            );
            assert_eq!(verdict.is_ok(), accepted, "{certificate:?} {name} {at}");
            assert_eq!(asked.0.load(Relaxed), looks, "{certificate:?} {name} {at}");
        }
    }
}
