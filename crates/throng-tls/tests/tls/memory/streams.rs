//! Streams split in any way, changed records, and noise.

use super::*;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let part = prop_oneof![
        4 => (1u32..2000).prop_map(|n| 0..n),
        2 => (0u32..100_000, 1u32..100_000).prop_map(|(a, n)| a..a + n),
    ];
    let step = prop_oneof![
        part.prop_map(Step::Memory),
        prop::collection::vec(any::<u8>(), 1..40_000).prop_map(Step::Bytes),
    ];
    prop::collection::vec(step, 1..5)
}

/// Lengths of pieces: from single bytes to all at once.
fn cuts() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(
        prop_oneof![1usize..8, 1usize..2000, 10_000usize..70_000],
        2..12,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_sent_arrives_however_the_stream_is_cut(
        steps in steps(),
        mut cuts in cuts(),
        tls13 in any::<bool>(),
        answer in prop_oneof![Just(Answer::Back), Just(Answer::Reply)],
    ) {
        // With single bytes alone large messages would take minutes.
        cuts.push(5000);
        let v = if tls13 { Version::Tls13 } else { Version::Tls12 };
        let wanted: Vec<u8> = steps.iter().flat_map(|s| s.bytes(&memory())).collect();
        let lengths: Vec<usize> = steps.iter().map(|s| s.bytes(&memory()).len()).collect();
        let mut client = Probe::new(steps, Answer::Nothing);
        client.close_after = Some(wanted.len());
        let mut pair = Pair::new(client, &client_options(v), Probe::new(vec![], answer), &SERVER);
        pair.run(7, &cuts);

        let (client, server) = (pair.client_saw.borrow(), pair.server_saw.borrow());
        prop_assert_eq!(&client.opened, &[7]);
        prop_assert_eq!(&server.opened, &[7]);
        prop_assert!(server.got == wanted, "the server got something else");
        prop_assert!(client.got == wanted, "the client got something else");
        prop_assert_eq!(&client.sent, &lengths);
        prop_assert_eq!(&client.closed, &[Closed::ByUs]);
        prop_assert_eq!(&server.closed, &[Closed::ByPeer]);
        for end in [&pair.client, &pair.server] {
            let counts = end.counters.read();
            prop_assert_eq!((counts.tls.secured, counts.tls.failed_in_all(), counts.tls.truncated), (1, 0, 0));
        }
    }

    #[test]
    fn a_record_that_was_changed_or_noise_ends_the_connection_and_is_counted(
        at in 0usize..3000,
        flip in 1u8..=255,
        tls13 in any::<bool>(),
    ) {
        let v = if tls13 { Version::Tls13 } else { Version::Tls12 };
        let client = Probe::new(vec![Step::Memory(0..1500)], Answer::Nothing);
        let mut pair = Pair::new(client, &client_options(v), Probe::new(vec![], Answer::Nothing), &SERVER);
        let (mut c, mut s) = (pair.client.open(0), pair.server.open(0));
        // One byte of all that the client sends is changed.
        let mut sent = Vec::new();
        for _ in 0..20 {
            let mut up = pair.client.take(&mut c, usize::MAX);
            let passed = sent.len();
            sent.extend_from_slice(&up);
            if (passed..passed + up.len()).contains(&at) {
                up[at - passed] ^= flip;
            }
            if !up.is_empty() {
                pair.server.received(&mut s, &up);
            }
            let down = pair.server.take(&mut s, usize::MAX);
            if !down.is_empty() {
                pair.client.received(&mut c, &down);
            }
        }
        let counts = pair.server.counters.read();
        let whole = pair.server_saw.borrow().got.len() == 1500;
        // The handshake's own check finds any change in its messages. It does not cover the records around them, whose
        // version "MUST be ignored for all purposes" (RFC 8446, section 5.1). A record header cut short waits.
        let harmless = at >= sent.len() || in_a_handshakes_header(&sent, at);
        prop_assert!(!whole || harmless, "a changed stream was taken for a whole one");
        prop_assert!(counts.tls.failed_in_all() <= 1);
        prop_assert_eq!(counts.tls.secured + counts.tls.failed_in_all() - counts.tls.broken <= 1, true);
        if s.closing {
            prop_assert_eq!(counts.tls.failed_in_all(), 1);
        }
        pair.server.closed(&mut s, Closed::ByPeer);
        pair.client.closed(&mut c, Closed::ByPeer);
        prop_assert_eq!(pair.server_saw.borrow().opened.len(), pair.server_saw.borrow().closed.len());
    }
}

/// Whether byte `at` is the type or the version of a record of the handshake: of any but the last, which carries the data.
fn in_a_handshakes_header(sent: &[u8], at: usize) -> bool {
    let mut begin = 0;
    while let Some(&[_, _, _, high, low]) = sent[begin..].first_chunk() {
        let next = begin + 5 + usize::from(u16::from_be_bytes([high, low]));
        if (begin..next).contains(&at) {
            return at < begin + 3 && next < sent.len();
        }
        begin = next;
    }
    false
}

/// How often the properties below are tried: more with PROPTEST_CASES.
fn cases() -> u32 {
    let asked = std::env::var("PROPTEST_CASES").ok();
    asked.and_then(|n| n.parse().ok()).unwrap_or(256)
}

/// Records whose headers are right, of any contents; and now and then anything at all.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let record =
        (20u8..=24, prop::collection::vec(any::<u8>(), 0..400)).prop_map(|(kind, body)| {
            let len = (body.len() as u16).to_be_bytes();
            [&[kind, 3, 3, len[0], len[1]], &body[..]].concat()
        });
    // Beginnings of messages of a handshake, so that more than their type is looked at.
    let message = (0u8..25, 0u8..3, prop::collection::vec(any::<u8>(), 0..300)).prop_map(
        |(kind, high, body)| {
            let len = (body.len() as u16).to_be_bytes();
            let text = [&[kind, high / 2, len[0], len[1]], &body[..]].concat();
            let len = (text.len() as u16).to_be_bytes();
            [&[22, 3, 3, len[0], len[1]], &text[..]].concat()
        },
    );
    let any = prop::collection::vec(any::<u8>(), 1..50);
    prop::collection::vec(prop_oneof![4 => record, 4 => message, 1 => any], 1..6)
        .prop_map(|all| all.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn noise_at_any_moment_ends_in_one_failure_or_in_waiting(
        noise in noise(),
        after in 0usize..6,
        at_server in any::<bool>(),
        cut in 1usize..500,
        tls13 in any::<bool>(),
    ) {
        let v = if tls13 { Version::Tls13 } else { Version::Tls12 };
        let sink = || Probe::new(vec![], Answer::Nothing);
        let mut pair = Pair::new(sink(), &client_options(v), sink(), &SERVER);
        let (mut c, mut s) = (pair.client.open(0), pair.server.open(0));
        // This many flights are unchanged.
        for flight in 0..after {
            if flight % 2 == 0 {
                let up = pair.client.take(&mut c, usize::MAX);
                pair.server.received(&mut s, &up);
            } else {
                let down = pair.server.take(&mut s, usize::MAX);
                pair.client.received(&mut c, &down);
            }
        }
        let (end, link, saw) = match at_server {
            true => (&mut pair.server, &mut s, &pair.server_saw),
            false => (&mut pair.client, &mut c, &pair.client_saw),
        };
        for part in noise.chunks(cut) {
            end.received(link, part);
        }
        let closing = link.closing;
        let counts = end.counters.read();
        prop_assert!(counts.tls.failed_in_all() <= 1);
        prop_assert_eq!(closing, counts.tls.failed_in_all() == 1);
        prop_assert!(saw.borrow().got.is_empty(), "noise was taken for data");
        end.closed(link, Closed::ByPeer);
        let counts = end.counters.read();
        let outcomes = counts.tls.secured + counts.tls.failed_in_all() - counts.tls.broken;
        prop_assert_eq!(outcomes, 1, "each handshake has one outcome");
    }
}
