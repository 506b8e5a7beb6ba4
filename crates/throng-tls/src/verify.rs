//! Whether a client accepts a server's certificate.

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Which certificates are accepted.
#[derive(Clone, Debug)]
pub(crate) enum Trust {
    /// Any.
    Any,
    /// What the authorities signed, and what is trusted itself.
    Chains {
        webpki: Arc<dyn ServerCertVerifier>,
        trusted: Arc<[CertificateDer<'static>]>,
    },
}

impl Trust {
    /// In the authorities that `webpki` knows, and in the certificates that were named one by one.
    pub fn chains(
        webpki: Arc<WebPkiServerVerifier>,
        trusted: Vec<CertificateDer<'static>>,
    ) -> Trust {
        let trusted = trusted.into();
        Trust::Chains { webpki, trusted }
    }

    /// Many servers have a certificate that signed itself and calls itself an authority (as
    /// `openssl req -x509` makes it). webpki accepts no authority as a server, even if it is trusted; curl and
    /// openssl do. So does this, for the right name, if the very same certificate is in the file of authorities.
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
        match webpki.verify_server_cert(end_entity, intermediates, name, ocsp, now) {
            Err(Error::InvalidCertificate(CertificateError::Other(_)))
                if trusted.iter().any(|t| t == end_entity) =>
            {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, name)
            }
            verdict => verdict.map(|_| ()),
        }
    }
}

/// How long an accepted chain is accepted again without being looked at, in seconds.
const REMEMBER_S: u64 = 60;

/// Verifies what servers present, and remembers the chain that each was last accepted with, so that its
/// signatures are not checked again for each of a worker's connections: that is half the time of a client's
/// handshake. The server's signature of the handshake itself is checked each time, with [`Trust::Any`] too: a
/// handshake then costs what it would.
///
/// One for each worker, so its lock is never contended.
#[derive(Debug)]
pub(crate) struct Verifier {
    trust: Trust,
    algorithms: WebPkiSupportedAlgorithms,
    accepted: Mutex<HashMap<ServerName<'static>, Accepted>>,
}

#[derive(Debug)]
struct Accepted {
    /// The server's certificate first.
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
    /// One that checks signatures by these algorithms.
    pub fn new(trust: Trust, algorithms: WebPkiSupportedAlgorithms) -> Verifier {
        Verifier {
            trust,
            algorithms,
            accepted: Mutex::default(),
        }
    }

    /// A signature that is wrong is accepted only where webpki can't read the certificate at all (version 1,
    /// for example), and any certificate will do.
    fn unless_unreadable(
        &self,
        cert: &CertificateDer<'_>,
        verdict: Result<HandshakeSignatureValid, Error>,
    ) -> Result<HandshakeSignatureValid, Error> {
        let any = matches!(self.trust, Trust::Any);
        match verdict {
            Err(_) if any && ParsedCertificate::try_from(cert).is_err() => {
                Ok(HandshakeSignatureValid::assertion())
            }
            verdict => verdict,
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
        self.unless_unreadable(cert, verdict)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let verdict = verify_tls13_signature(message, cert, signature, &self.algorithms);
        self.unless_unreadable(cert, verdict)
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

    /// Accepts certificates that begin with "good", and counts how often it is asked.
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
    fn only_the_same_chain_for_the_same_name_is_taken_without_another_look() {
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
