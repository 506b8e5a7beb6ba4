//! How a query went (RFC 1035, section 4.1.1).

use std::borrow::Cow;

/// A response code: four bits of the header. Those that EDNS adds are not read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rcode(u8);

impl Rcode {
    /// Every code.
    pub const ALL: [Rcode; 16] = {
        let mut all = [Rcode(0); 16];
        let mut code = 0;
        while code < all.len() {
            all[code] = Rcode(code as u8);
            code += 1;
        }
        all
    };

    /// The code in the low four bits of a header's fourth byte.
    #[inline]
    pub fn from_bits(byte: u8) -> Rcode {
        Rcode(byte & 0x0f)
    }

    /// The code as a number, 0 to 15.
    #[inline]
    pub fn number(self) -> u8 {
        self.0
    }

    /// Whether it reports an error: anything but NOERROR.
    #[inline]
    pub fn is_error(self) -> bool {
        self.0 != 0
    }

    /// The name in counts: the number.
    pub fn name(self) -> &'static str {
        const NUMBERS: [&str; 16] = [
            "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15",
        ];
        NUMBERS[usize::from(self.0)]
    }

    /// The mnemonic (RFC 1035, RFC 2136); `RCODE12` and the like for a code without one.
    pub fn mnemonic(self) -> Cow<'static, str> {
        const NAMES: [&str; 11] = [
            "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN",
            "YXRRSET", "NXRRSET", "NOTAUTH", "NOTZONE",
        ];
        match NAMES.get(usize::from(self.0)) {
            Some(name) => Cow::Borrowed(name),
            None => Cow::Owned(format!("RCODE{}", self.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_known_by_its_number_and_its_mnemonic() {
        let codes = [0, 3, 5, 12].map(Rcode::from_bits);
        assert_eq!(codes.map(Rcode::name), ["0", "3", "5", "12"]);
        let names = codes.map(Rcode::mnemonic);
        assert_eq!(names, ["NOERROR", "NXDOMAIN", "REFUSED", "RCODE12"]);
        assert!(Rcode::ALL.iter().map(|code| code.number()).eq(0..16));
        assert_eq!(Rcode::from_bits(0xf3), codes[1]);
    }
}
