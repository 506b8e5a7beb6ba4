//! The size of RSA keys in certificates.

use std::ops::RangeInclusive;

/// The sizes in bits with which signatures can be verified here.
pub(crate) const VERIFIABLE: RangeInclusive<usize> = 2048..=8192;

/// DER tags, and the contents of the object identifier rsaEncryption (RFC 8017 appendix A.1).
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const RSA_ENCRYPTION: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];

/// The size in bits of the key in a SubjectPublicKeyInfo (DER); `None` for a key that is not RSA.
pub(crate) fn bits(info: &[u8]) -> Option<usize> {
    let mut info = value(&mut &*info, SEQUENCE)?;
    let mut algorithm = value(&mut info, SEQUENCE)?;
    if value(&mut algorithm, OBJECT_IDENTIFIER)? != RSA_ENCRYPTION {
        return None;
    }
    // The first byte of a bit string counts unused bits, of which there are none.
    let mut key = value(&mut info, BIT_STRING)?.get(1..)?;
    let modulus = value(&mut value(&mut key, SEQUENCE)?, INTEGER)?;
    let zeros = modulus.iter().take_while(|byte| **byte == 0).count();
    let modulus = &modulus[zeros..];
    Some(modulus.len() * 8 - modulus.first()?.leading_zeros() as usize)
}

/// Takes the first value of `der`, which has this tag, and returns its contents.
fn value<'a>(der: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    let (&[found, len], rest) = der.split_first_chunk::<2>()?;
    let long = usize::from(len & 0x7f);
    let (len, rest) = match len {
        0..0x80 => (long, rest),
        _ if long > 3 => return None,
        _ => {
            let (bytes, rest) = rest.split_at_checked(long)?;
            let len = bytes.iter().fold(0, |n, byte| n << 8 | usize::from(*byte));
            (len, rest)
        }
    };
    let (contents, rest) = rest.split_at_checked(len)?;
    *der = rest;
    (found == tag).then_some(contents)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A value in DER.
    fn der(tag: u8, contents: &[u8]) -> Vec<u8> {
        let len = contents.len();
        let header = match len {
            0..0x80 => vec![tag, len as u8],
            0x80..0x100 => vec![tag, 0x81, len as u8],
            _ => vec![tag, 0x82, (len >> 8) as u8, len as u8],
        };
        [header, contents.to_vec()].concat()
    }

    fn key(algorithm: &[u8], modulus: &[u8]) -> Vec<u8> {
        let algorithm = [der(OBJECT_IDENTIFIER, algorithm), vec![5, 0]].concat();
        let numbers = [der(INTEGER, modulus), der(INTEGER, &[1, 0, 1])].concat();
        let bits = [vec![0], der(SEQUENCE, &numbers)].concat();
        let info = [der(SEQUENCE, &algorithm), der(BIT_STRING, &bits)].concat();
        der(SEQUENCE, &info)
    }

    #[test]
    fn the_size_of_a_key_is_that_of_its_modulus() {
        // A positive number whose first bit is set has a zero byte in front.
        for bits in [512, 1024, 2048, 4096] {
            let modulus = [vec![0, 0x80], vec![1; bits / 8 - 1]].concat();
            assert_eq!(super::bits(&key(&RSA_ENCRYPTION, &modulus)), Some(bits));
        }
        assert_eq!(bits(&key(&RSA_ENCRYPTION, &[0x7f; 128])), Some(1023));
        assert_eq!(bits(&key(&[0x2a], &[0x7f; 128])), None, "another algorithm");
        assert_eq!(bits(&key(&RSA_ENCRYPTION, &[0])), None);
        let whole = key(&RSA_ENCRYPTION, &[1; 128]);
        for cut in 0..whole.len() {
            assert_eq!(bits(&whole[..cut]), None, "{cut}");
        }
    }
}
