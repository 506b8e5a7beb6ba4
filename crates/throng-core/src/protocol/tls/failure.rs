//! Why a TLS handshake failed, or what broke a connection that was secured.

use crate::stats::kinds;

kinds! {
    /// Why TLS failed on a connection. The kinds from [`AlertHandshake`](TlsFailure::AlertHandshake) to
    /// [`AlertOther`](TlsFailure::AlertOther) are what the peer said (RFC 8446 section 6.2); the others
    /// are our own findings.
    pub enum TlsFailure {
        /// The peer's certificate leads to no authority that we trust, or is signed by itself.
        UnknownAuthority: "unknown_authority", "certificate of an unknown authority";
        /// The peer's certificate has expired, or is not valid yet.
        Expired: "expired", "certificate expired or not valid yet";
        /// The peer's certificate is for another name.
        NameMismatch: "name_mismatch", "certificate for another name";
        /// The peer's certificate is an authority's, not a server's (basicConstraints: CA).
        AuthorityAsServer: "authority_as_server", "certificate of an authority, not of a server";
        /// The peer's certificate has an RSA key of less than 2,048 bits.
        ShortKey: "short_key", "certificate with an RSA key of less than 2048 bits";
        /// The peer's certificate is bad in another way: revoked, malformed, for another purpose, none at all.
        BadCertificate: "bad_certificate", "bad certificate";
        /// No TLS version that both sides allow.
        ProtocolVersion: "protocol_version", "no common TLS version";
        /// No cipher suite, key exchange group or signature scheme that both sides allow.
        NoCommonCipher: "no_common_cipher", "no common cipher";
        /// No application protocol (ALPN) that both sides allow.
        NoCommonProtocol: "no_common_protocol", "no common application protocol";
        /// The peer's alert handshake_failure (40) or insufficient_security (71).
        AlertHandshake: "alert_handshake", "peer's alert: handshake failure";
        /// The peer's alert unknown_ca (48): it does not trust our certificate's authority.
        AlertUnknownCa: "alert_unknown_ca", "peer's alert: unknown CA";
        /// The peer's alert certificate_required (116): it wants a client certificate.
        AlertCertificateRequired: "alert_certificate_required", "peer's alert: certificate required";
        /// The peer's alert certificate_expired (45).
        AlertExpired: "alert_expired", "peer's alert: certificate expired";
        /// The peer's alert about our certificate, of another kind: bad_certificate (42),
        /// unsupported_certificate (43), certificate_revoked (44), certificate_unknown (46).
        AlertCertificate: "alert_certificate", "peer's alert: bad certificate";
        /// The peer's alert protocol_version (70).
        AlertVersion: "alert_version", "peer's alert: protocol version";
        /// The peer's alert unrecognized_name (112): it serves no such name (SNI).
        AlertName: "alert_name", "peer's alert: unrecognized name";
        /// The peer's alert no_application_protocol (120): it speaks none that we offered (ALPN).
        AlertProtocol: "alert_protocol", "peer's alert: no application protocol";
        /// The peer's alert, any other.
        AlertOther: "alert_other", "peer's alert: other";
        /// The peer sent something other than TLS: another protocol, or our own ClientHello back.
        NotTls: "not_tls", "the peer does not speak TLS";
        /// The peer closed or reset the connection during the handshake.
        Closed: "closed", "closed during the handshake";
        /// The handshake was not done in time.
        TimedOut: "timed_out", "handshake timed out";
        /// The peer broke the protocol: a record that does not decrypt, a message out of place.
        Violation: "violation", "protocol violated by the peer";
        /// Anything else, on our side.
        Other: "other", "other TLS error";
    }
}

impl TlsFailure {
    /// What to do about it, behind a semicolon; empty if nothing is known to help.
    pub fn remedy(self) -> &'static str {
        match self {
            TlsFailure::UnknownAuthority => {
                "; --cacert FILE trusts an authority of your own, --insecure any certificate"
            }
            TlsFailure::NameMismatch => {
                "; --sni NAME asks for another name, --insecure accepts any certificate"
            }
            TlsFailure::Expired
            | TlsFailure::AuthorityAsServer
            | TlsFailure::ShortKey
            | TlsFailure::BadCertificate => "; --insecure accepts any certificate",
            _ => "",
        }
    }

    /// A text about the options of a TLS client, with their names where it is a proxy's towards its backends.
    pub fn for_backends(text: &str) -> String {
        let options = ["cacert", "insecure", "sni"];
        options.iter().fold(text.to_owned(), |text, option| {
            text.replace(&format!("--{option}"), &format!("--backend-{option}"))
        })
    }
}
