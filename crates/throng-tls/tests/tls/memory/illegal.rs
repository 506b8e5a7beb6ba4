//! Records that are illegal during the handshake, and headers that only look so.

use super::*;

const UNEXPECTED_MESSAGE: u8 = 10;
const RECORD_OVERFLOW: u8 = 22;
const PROTOCOL_VERSION: u8 = 70;
const MISSING_EXTENSION: u8 = 109;

fn pair(v: Version) -> Pair {
    let sink = || Probe::new(vec![], Answer::Nothing);
    Pair::new(sink(), &client_options(v), sink(), &SERVER)
}

#[test]
fn a_client_hello_comes_in_a_record_of_any_version_that_begins_with_3() {
    for v in [Version::Tls12, Version::Tls13] {
        for minor in [0, 1, 4, 5, 0x7f, 0xff] {
            let mut pair = pair(v);
            let (mut c, mut s) = (pair.client.open(0), pair.server.open(0));
            let mut hello = pair.client.take(&mut c, usize::MAX);
            hello[2] = minor;
            pair.server.received(&mut s, &hello);
            pair.carry(&mut c, &mut s, &[100_000]);
            assert_eq!(pair.server.counters.read().tls.secured, 1, "{v} {minor}");
        }
    }
}

#[test]
fn a_client_hello_may_be_split_into_records_anywhere() {
    for first in 1..60 {
        let mut pair = pair(Version::Tls13);
        let (mut c, mut s) = (pair.client.open(0), pair.server.open(0));
        let hello = pair.client.take(&mut c, usize::MAX);
        let (begin, rest) = hello[5..].split_at(first);
        let [high, low] = (rest.len() as u16).to_be_bytes();
        // Minor versions that would be those of SSL if they were taken for the message's.
        let records = [
            &[22, 3, 0, 0, first as u8][..],
            begin,
            &[22, 3, 0, high, low],
            rest,
        ];
        pair.server.received(&mut s, &records.concat());
        pair.carry(&mut c, &mut s, &[100_000]);
        assert_eq!(pair.server.counters.read().tls.secured, 1, "{first}");
    }
}

#[test]
fn a_server_refuses_illegal_records_in_its_handshake_with_the_alert_that_the_standard_names() {
    // The part of a ClientHello that arrives first, what comes instead of the rest, and the alert.
    let cases: [(usize, &[u8], u8); 12] = [
        // RFC 8446 section 5.1: nothing comes between the parts of a message.
        (60, &[23, 3, 3, 0, 1, 0], UNEXPECTED_MESSAGE),
        (60, &[21, 3, 3, 0, 2, 1, 0], UNEXPECTED_MESSAGE),
        // Section 4.1.2: a client's first message is its hello.
        (0, &[22, 3, 1, 0, 1, 2], UNEXPECTED_MESSAGE),
        // Section 5: content types that do not exist.
        (60, &[24, 3, 3, 0, 1, 0], UNEXPECTED_MESSAGE),
        (60, &[19], UNEXPECTED_MESSAGE),
        (60, &[255], UNEXPECTED_MESSAGE),
        // Section 5.1: at most 2^14 bytes, and at least one.
        (0, &[22, 3, 1, 0x40, 0x01], RECORD_OVERFLOW),
        (0, &[22, 3, 1, 0xff, 0xff], RECORD_OVERFLOW),
        (60, &[22, 3, 3, 0x40, 0x01], RECORD_OVERFLOW),
        (0, &[22, 3, 3, 0, 0], UNEXPECTED_MESSAGE),
        (60, &[22, 3, 3, 0, 0], UNEXPECTED_MESSAGE),
        // Section 5: a change_cipher_spec is one byte.
        (60, &[20, 3, 3, 0, 2], UNEXPECTED_MESSAGE),
    ];
    for (begun, instead, alert) in cases {
        for cut in [1, 100] {
            let mut pair = pair(Version::Tls13);
            let (mut c, mut s) = (pair.client.open(0), pair.server.open(0));
            let hello = pair.client.take(&mut c, usize::MAX);
            let mut bytes = Vec::new();
            if begun > 0 {
                // The first bytes of the message in a record of their own.
                bytes.extend_from_slice(&[22, 3, 1, 0, begun as u8]);
                bytes.extend_from_slice(&hello[5..5 + begun]);
            }
            bytes.extend_from_slice(instead);
            for piece in bytes.chunks(cut) {
                pair.server.received(&mut s, piece);
            }
            let said = pair.server.take(&mut s, usize::MAX);
            let case = format!("{begun} {instead:?} {cut}");
            assert_eq!(said, [21, 3, 3, 0, 2, 2, alert], "{case}");
            assert!(s.closing, "{case}");
            let counts = pair.server.counters.read();
            assert_eq!(counts.tls.failed(TlsFailure::Violation), 1, "{case}");
            assert_eq!(counts.tls.failed_in_all(), 1, "{case}");
        }
    }
}

#[test]
fn a_hello_that_says_ssl_or_lacks_its_key_share_is_refused_with_its_alert() {
    // The key share of X25519, and its header.
    const KEY_SHARE: [u8; 10] = [0, 51, 0, 38, 0, 36, 0, 29, 0, 32];
    let old = |version: [u8; 2]| {
        move |hello: &mut Vec<u8>| {
            hello[9..11].copy_from_slice(&version);
        }
    };
    let unshared = |hello: &mut Vec<u8>| {
        let mut parts = hello.windows(KEY_SHARE.len());
        let at = parts.position(|part| part == KEY_SHARE).unwrap();
        // An extension that does not exist.
        hello[at..at + 2].copy_from_slice(&[0x3a, 0x3a]);
    };
    type Change<'a> = &'a dyn Fn(&mut Vec<u8>);
    let cases: [(Change, u8, TlsFailure); 3] = [
        // RFC 8446 appendix D.5.
        (&old([3, 0]), PROTOCOL_VERSION, TlsFailure::ProtocolVersion),
        (&old([0, 2]), PROTOCOL_VERSION, TlsFailure::ProtocolVersion),
        // Section 9.2.
        (&unshared, MISSING_EXTENSION, TlsFailure::NoCommonCipher),
    ];
    for (change, alert, failure) in cases {
        let mut pair = pair(Version::Tls13);
        let (mut c, mut s) = (pair.client.open(0), pair.server.open(0));
        let mut hello = pair.client.take(&mut c, usize::MAX);
        change(&mut hello);
        pair.server.received(&mut s, &hello);
        let said = pair.server.take(&mut s, usize::MAX);
        assert_eq!(said, [21, 3, 3, 0, 2, 2, alert]);
        let counts = pair.server.counters.read();
        assert_eq!(counts.tls.failed(failure), 1, "{counts:?}");
        assert_eq!(counts.tls.failed_in_all(), 1);
    }
}

#[test]
fn alerts_in_the_middle_of_a_handshake_are_encrypted_if_records_are_by_then() {
    for v in [Version::Tls12, Version::Tls13] {
        for illegal in [&[24][..], &[23, 3, 3, 0x48, 0x01]] {
            // The server has sent its part of the handshake.
            let mut to_server = pair(v);
            let pair = &mut to_server;
            let (mut c, mut s) = (pair.client.open(0), pair.server.open(0));
            let hello = pair.client.take(&mut c, usize::MAX);
            pair.server.received(&mut s, &hello);
            let flight = pair.server.take(&mut s, usize::MAX);
            pair.server.received(&mut s, illegal);
            let alert = pair.server.take(&mut s, usize::MAX);
            assert!(s.closing && !alert.is_empty(), "{v} {illegal:?}");
            assert_eq!(alert[0] == 23, v == Version::Tls13, "{alert:?}");
            pair.client
                .received(&mut c, &[flight.clone(), alert].concat());
            let counts = pair.client.counters.read();
            assert_eq!(
                counts.tls.failed(TlsFailure::AlertOther),
                1,
                "{v} {illegal:?}: {counts:?}"
            );

            // The client has seen the first record of that.
            let mut to_client = self::pair(v);
            let pair = &mut to_client;
            let (mut c, mut s) = (pair.client.open(0), pair.server.open(0));
            let hello = pair.client.take(&mut c, usize::MAX);
            pair.server.received(&mut s, &hello);
            let flight = pair.server.take(&mut s, usize::MAX);
            let first = 5 + usize::from(u16::from_be_bytes([flight[3], flight[4]]));
            pair.client.received(&mut c, &flight[..first]);
            pair.client.received(&mut c, illegal);
            let said = pair.client.take(&mut c, usize::MAX);
            assert!(c.closing && !said.is_empty(), "{v} {illegal:?}");
            pair.server.received(&mut s, &said);
            let counts = pair.server.counters.read();
            assert_eq!(
                counts.tls.failed(TlsFailure::AlertOther),
                1,
                "{v} {illegal:?}: {counts:?}"
            );
        }
    }
}

#[test]
fn a_peer_that_sends_our_own_hello_back_does_not_speak_tls() {
    for v in [Version::Tls12, Version::Tls13] {
        let mut pair = pair(v);
        let mut c = pair.client.open(0);
        let hello = pair.client.take(&mut c, usize::MAX);
        pair.client.received(&mut c, &hello);
        assert!(c.closing);
        assert!(pair.client.take(&mut c, usize::MAX).is_empty());
        let counts = pair.client.counters.read();
        assert_eq!(counts.tls.failed(TlsFailure::NotTls), 1, "{counts:?}");
        assert_eq!(counts.tls.failed_in_all(), 1);
    }
}
