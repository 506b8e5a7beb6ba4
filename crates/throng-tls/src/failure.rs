//! Maps errors of rustls and alerts of the peer to kinds of failure.

use crate::verify::Unfit;
use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};
use throng_core::protocol::tls::TlsFailure;

/// The kind of `error`.
pub(crate) fn of(error: &Error) -> TlsFailure {
    match error {
        Error::InvalidCertificate(bad) => certificate(bad),
        Error::NoCertificatesPresented | Error::InvalidCertRevocationList(_) => {
            TlsFailure::BadCertificate
        }
        Error::UnsupportedNameType => TlsFailure::NameMismatch,
        Error::AlertReceived(alert) => self::alert((*alert).into()),
        Error::PeerIncompatible(lack) => incompatible(lack),
        Error::NoApplicationProtocol => TlsFailure::NoCommonProtocol,
        Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. }
        | Error::InvalidMessage(_)
        | Error::DecryptError
        | Error::PeerMisbehaved(_)
        | Error::PeerSentOversizedRecord => TlsFailure::Violation,
        _ => TlsFailure::Other,
    }
}

fn certificate(error: &CertificateError) -> TlsFailure {
    match error {
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => TlsFailure::Expired,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            TlsFailure::NameMismatch
        }
        CertificateError::UnknownIssuer => TlsFailure::UnknownAuthority,
        CertificateError::Other(other) => match other.0.downcast_ref() {
            Some(Unfit::Authority) => TlsFailure::AuthorityAsServer,
            Some(Unfit::ShortKey) => TlsFailure::ShortKey,
            None => TlsFailure::BadCertificate,
        },
        _ => TlsFailure::BadCertificate,
    }
}

fn incompatible(lack: &PeerIncompatible) -> TlsFailure {
    match lack {
        PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
        | PeerIncompatible::SupportedVersionsExtensionRequired
        // The first thing that rustls misses in the hello of a client of TLS 1.1, which had no such extension.
        | PeerIncompatible::SignatureAlgorithmsExtensionRequired
        | PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled => TlsFailure::ProtocolVersion,
        PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon
        | PeerIncompatible::NoCipherSuitesInCommon
        | PeerIncompatible::NoEcPointFormatsInCommon
        | PeerIncompatible::NoKxGroupsInCommon
        | PeerIncompatible::NoSignatureSchemesInCommon
        | PeerIncompatible::ExtendedMasterSecretExtensionRequired
        | PeerIncompatible::KeyShareExtensionRequired
        | PeerIncompatible::NamedGroupsExtensionRequired => TlsFailure::NoCommonCipher,
        _ => TlsFailure::Other,
    }
}

/// The kind of a fatal alert from the peer, by its number (RFC 8446 section 6).
pub(crate) fn alert(number: u8) -> TlsFailure {
    match AlertDescription::from(number) {
        AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => {
            TlsFailure::AlertHandshake
        }
        AlertDescription::UnknownCA => TlsFailure::AlertUnknownCa,
        AlertDescription::CertificateRequired => TlsFailure::AlertCertificateRequired,
        AlertDescription::CertificateExpired => TlsFailure::AlertExpired,
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateUnknown => TlsFailure::AlertCertificate,
        AlertDescription::ProtocolVersion => TlsFailure::AlertVersion,
        AlertDescription::UnrecognisedName => TlsFailure::AlertName,
        AlertDescription::NoApplicationProtocol => TlsFailure::AlertProtocol,
        _ => TlsFailure::AlertOther,
    }
}
