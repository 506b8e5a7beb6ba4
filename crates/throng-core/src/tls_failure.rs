//! Why a TLS handshake failed, or what broke a connection that was secured.
//!
//! The kinds are here, and not beside the TLS code, because they are counted in [`crate::stats`].

use serde::{Deserialize, Serialize};

/// Why TLS failed on a connection. The kinds from [`AlertHandshake`](TlsFailure::AlertHandshake) to
/// [`AlertOther`](TlsFailure::AlertOther) are what the peer said (RFC 8446 section 6.2); the others
/// are our own findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TlsFailure {
    /// The peer's certificate leads to no authority that we trust, or is signed by itself.
    UnknownAuthority,
    /// The peer's certificate has expired, or is not valid yet.
    Expired,
    /// The peer's certificate is for another name.
    NameMismatch,
    /// The peer's certificate is bad in another way: revoked, malformed, for another purpose, none at all.
    BadCertificate,
    /// No TLS version that both sides allow.
    ProtocolVersion,
    /// No cipher suite, key exchange group or signature scheme that both sides allow.
    NoCommonCipher,
    /// No application protocol (ALPN) that both sides allow.
    NoCommonProtocol,
    /// The peer's alert handshake_failure (40) or insufficient_security (71).
    AlertHandshake,
    /// The peer's alert unknown_ca (48): it does not trust our certificate's authority.
    AlertUnknownCa,
    /// The peer's alert certificate_required (116): it wants a client certificate.
    AlertCertificateRequired,
    /// The peer's alert certificate_expired (45).
    AlertExpired,
    /// The peer's alert about our certificate, of another kind: bad_certificate (42),
    /// unsupported_certificate (43), certificate_revoked (44), certificate_unknown (46).
    AlertCertificate,
    /// The peer's alert protocol_version (70).
    AlertVersion,
    /// The peer's alert unrecognized_name (112): it serves no such name (SNI).
    AlertName,
    /// The peer's alert no_application_protocol (120): it speaks none that we offered (ALPN).
    AlertProtocol,
    /// The peer's alert, any other.
    AlertOther,
    /// What came first was no TLS at all.
    NotTls,
    /// The peer closed or reset the connection during the handshake.
    Closed,
    /// The handshake was not done in time.
    TimedOut,
    /// The peer broke the protocol: a record that does not decrypt, a message out of place.
    Violation,
    /// Anything else, on our side.
    Other,
}

impl TlsFailure {
    /// Every kind, in the order in which they are counted and told.
    pub const ALL: [TlsFailure; 21] = [
        TlsFailure::UnknownAuthority,
        TlsFailure::Expired,
        TlsFailure::NameMismatch,
        TlsFailure::BadCertificate,
        TlsFailure::ProtocolVersion,
        TlsFailure::NoCommonCipher,
        TlsFailure::NoCommonProtocol,
        TlsFailure::AlertHandshake,
        TlsFailure::AlertUnknownCa,
        TlsFailure::AlertCertificateRequired,
        TlsFailure::AlertExpired,
        TlsFailure::AlertCertificate,
        TlsFailure::AlertVersion,
        TlsFailure::AlertName,
        TlsFailure::AlertProtocol,
        TlsFailure::AlertOther,
        TlsFailure::NotTls,
        TlsFailure::Closed,
        TlsFailure::TimedOut,
        TlsFailure::Violation,
        TlsFailure::Other,
    ];

    /// A few words for people.
    pub fn words(self) -> &'static str {
        match self {
            TlsFailure::UnknownAuthority => "certificate of an unknown authority",
            TlsFailure::Expired => "certificate expired or not valid yet",
            TlsFailure::NameMismatch => "certificate for another name",
            TlsFailure::BadCertificate => "bad certificate",
            TlsFailure::ProtocolVersion => "no common TLS version",
            TlsFailure::NoCommonCipher => "no common cipher",
            TlsFailure::NoCommonProtocol => "no common application protocol",
            TlsFailure::AlertHandshake => "peer's alert: handshake failure",
            TlsFailure::AlertUnknownCa => "peer's alert: unknown CA",
            TlsFailure::AlertCertificateRequired => "peer's alert: certificate required",
            TlsFailure::AlertExpired => "peer's alert: certificate expired",
            TlsFailure::AlertCertificate => "peer's alert: bad certificate",
            TlsFailure::AlertVersion => "peer's alert: protocol version",
            TlsFailure::AlertName => "peer's alert: unrecognized name",
            TlsFailure::AlertProtocol => "peer's alert: no application protocol",
            TlsFailure::AlertOther => "peer's alert: other",
            TlsFailure::NotTls => "not TLS",
            TlsFailure::Closed => "closed during the handshake",
            TlsFailure::TimedOut => "handshake timed out",
            TlsFailure::Violation => "protocol violated by the peer",
            TlsFailure::Other => "other TLS error",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_stands_in_its_own_place_and_has_its_own_words() {
        for (i, kind) in TlsFailure::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, i);
            let same = TlsFailure::ALL.iter().filter(|k| k.words() == kind.words());
            assert_eq!(same.count(), 1, "{kind:?}");
        }
    }
}
