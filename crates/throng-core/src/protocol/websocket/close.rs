//! The codes of close frames (RFC 6455, section 7.4): those that throng sends, and as what received ones are counted.

use crate::stats::kinds;

/// The purpose is fulfilled.
pub const NORMAL: u16 = 1000;
/// The peer violated the protocol.
pub const PROTOCOL_ERROR: u16 = 1002;
/// Data in a message does not match its type, such as text that is not UTF-8.
pub const NOT_CONSISTENT: u16 = 1007;
/// A message is too big.
pub const TOO_BIG: u16 = 1009;

/// Whether a peer may send `code` (7.4.1, 7.4.2, and IANA's registry, which has added 1012 to
/// 1014). 1004, 1005, 1006 and 1015 are reserved and never sent.
pub fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

kinds! {
    /// The code of a close frame with which a peer began to close (7.4.1, and IANA's registry).
    pub enum CloseCode {
        /// The purpose is fulfilled.
        Normal: "1000", "1000 Normal Closure";
        /// The endpoint goes away: a server shuts down, a browser leaves the page.
        GoingAway: "1001", "1001 Going Away";
        /// A protocol error.
        ProtocolError: "1002", "1002 Protocol Error";
        /// Data of a type that the endpoint does not accept.
        Unsupported: "1003", "1003 Unsupported Data";
        /// Data in a message does not match its type.
        NotConsistent: "1007", "1007 Invalid Frame Payload Data";
        /// A message violates a policy.
        Policy: "1008", "1008 Policy Violation";
        /// A message is too big.
        TooBig: "1009", "1009 Message Too Big";
        /// An extension that the client needs is missing.
        MandatoryExtension: "1010", "1010 Mandatory Extension";
        /// The server met an unexpected condition.
        InternalError: "1011", "1011 Internal Error";
        /// The service restarts.
        ServiceRestart: "1012", "1012 Service Restart";
        /// The service is overloaded.
        TryAgainLater: "1013", "1013 Try Again Later";
        /// A gateway received an invalid response.
        BadGateway: "1014", "1014 Bad Gateway";
        /// Codes that libraries and frameworks register (7.4.2).
        Registered: "3xxx", "3xxx, registered";
        /// Codes for private use (7.4.2).
        Private: "4xxx", "4xxx, of the application";
        /// A frame without a code.
        None: "none", "no code";
    }
}

impl CloseCode {
    /// The kind of a code that [may be sent](may_be_sent), or of a frame without one.
    pub fn of(code: Option<u16>) -> CloseCode {
        match code {
            None => CloseCode::None,
            Some(3000..=3999) => CloseCode::Registered,
            Some(4000..) => CloseCode::Private,
            Some(code) => {
                let of_code = |kind: &CloseCode| kind.name().parse() == Ok(code);
                CloseCode::ALL
                    .into_iter()
                    .find(of_code)
                    .unwrap_or(CloseCode::None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_codes_that_may_be_sent_are_those_of_the_registry() {
        let valid = [
            1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1014, 3000, 3999, 4000, 4999,
        ];
        let invalid = [
            0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535,
        ];
        for code in valid {
            assert!(may_be_sent(code), "{code}");
        }
        for code in invalid {
            assert!(!may_be_sent(code), "{code}");
        }
    }

    #[test]
    fn every_code_that_may_be_sent_is_counted_as_itself() {
        for code in (0..=u16::MAX).filter(|code| may_be_sent(*code)) {
            let kind = CloseCode::of(Some(code)).name();
            let own = match code {
                3000..=3999 => "3xxx".to_owned(),
                4000.. => "4xxx".to_owned(),
                code => code.to_string(),
            };
            assert_eq!(kind, own);
        }
        assert_eq!(CloseCode::of(None).name(), "none");
    }
}
