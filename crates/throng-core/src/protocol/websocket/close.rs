//! The codes of close frames that throng sends (RFC 6455, section 7.4.1).

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
}
