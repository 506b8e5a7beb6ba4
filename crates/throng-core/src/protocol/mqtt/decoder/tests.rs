use super::*;
use proptest::prelude::*;

/// What arrived, with payloads joined, and how it ended.
#[derive(Debug, Default, PartialEq, Eq)]
struct Heard {
    events: Vec<Event<'static>>,
    payload: Vec<Vec<u8>>,
    violation: Option<Violation>,
}

fn feed<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, v5: bool) -> Heard {
    let (mut decoder, mut partials) = (Decoder::default(), Partials::default());
    let mut heard = Heard::default();
    for mut piece in pieces {
        loop {
            match decoder.next(&mut piece, v5, &mut partials) {
                Ok(Some(Event::Payload(bytes))) => {
                    heard.payload.last_mut().unwrap().extend_from_slice(bytes);
                }
                Ok(Some(Event::Packet(packet, body))) => heard
                    .events
                    .push(Event::Packet(packet, body.into_owned().into())),
                Ok(Some(Event::Publish(publish))) => {
                    heard.payload.push(Vec::new());
                    heard.events.push(Event::Publish(publish));
                }
                Ok(Some(Event::Published(publish))) => {
                    heard.events.push(Event::Published(publish));
                }
                Ok(None) => break,
                Err(violation) => {
                    heard.violation = Some(violation);
                    decoder.end(&mut partials);
                }
            }
        }
    }
    decoder.reset(&mut partials);
    assert!(partials.is_empty());
    heard
}

fn whole(bytes: &[u8], v5: bool) -> Heard {
    feed([bytes], v5)
}

#[test]
fn a_connection_at_rest_is_remembered_in_20_bytes() {
    assert_eq!(size_of::<Decoder>(), 20);
}

#[test]
fn a_message_is_passed_on_with_its_payload_and_its_properties_are_skipped() {
    let v3 = b"\x34\x09\x00\x03a/b\x00\x07hi\x30\x0b\x00\x09$SYS/echo";
    let publish = Publish {
        qos: 2,
        dup: false,
        retain: false,
        id: 7,
        echo: false,
        payload: 2,
    };
    let echo = Publish {
        qos: 0,
        id: 0,
        echo: true,
        payload: 0,
        ..publish
    };
    let heard = whole(v3, false);
    let ended = |publish| {
        Event::Published(Publish {
            payload: 0,
            ..publish
        })
    };
    let events = [
        Event::Publish(publish),
        ended(publish),
        Event::Publish(echo),
        ended(echo),
    ];
    assert_eq!(heard.events, events);
    assert_eq!(heard.payload, [b"hi".to_vec(), Vec::new()]);
    // The same with no properties, and with two.
    let v5 = b"\x34\x0a\x00\x03a/b\x00\x07\x00hi\x30\x13\x00\x09$SYS/echo\x07\x01\x01\x02\x00\x00\x00\x09";
    assert_eq!(whole(v5, true), heard);
}

#[test]
fn what_is_not_mqtt_is_refused_by_kind() {
    let long = [0x20, 0x81, 0x80, 0x04];
    for (bytes, v5, violation) in [
        (&b"HTTP/1.1 400 Bad Request"[..], true, Violation::Flags),
        (b"\x00\x00", true, Violation::PacketType),
        (b"\x21\x00", true, Violation::Flags),
        (b"\x60\x02\x00\x01", true, Violation::Flags),
        (b"\x36\x00", true, Violation::Qos),
        (b"\x38\x00", true, Violation::Qos),
        (b"\x20\x80\x80\x80\x80\x01", true, Violation::Length),
        (&long, true, Violation::LongPacket),
        (b"\x30\x00\x00", false, Violation::Fields),
        (b"\x30\x03\x00\x02ab", false, Violation::Fields),
        (b"\x32\x04\x00\x02ab\x00\x01", false, Violation::Fields),
        (b"\x30\x05\x00\x02ab\x01", true, Violation::Fields),
        (b"\x30\x04\x00\x02ab\x00", true, Violation::Fields),
        (b"\x32\x06\x00\x02ab\x00\x00", false, Violation::ZeroId),
        (b"\x30\x02\x00\x00", false, Violation::NoTopic),
    ] {
        assert_eq!(whole(bytes, v5).violation, Some(violation), "{bytes:?}");
    }
}

fn varint(mut n: usize, out: &mut Vec<u8>) {
    loop {
        let digit = (n & 0x7f) as u8;
        n >>= 7;
        out.push(digit | if n > 0 { 0x80 } else { 0 });
        if n == 0 {
            return;
        }
    }
}

/// A packet, as a peer may send it.
fn packet(v5: bool) -> BoxedStrategy<Vec<u8>> {
    let control = (
        prop::sample::select(&[0x20u8, 0x40, 0x50, 0x62, 0x70, 0x90, 0xb0, 0xd0, 0xe0, 0xf0][..]),
        prop::collection::vec(any::<u8>(), 0..300),
    );
    let publish = (
        0u8..6,
        prop::collection::vec(any::<u8>(), 1..200),
        1u16..,
        prop::collection::vec(any::<u8>(), 0..200),
        prop::collection::vec(any::<u8>(), 0..300),
    );
    let whole = |first: u8, body: &[u8]| {
        let mut packet = vec![first];
        varint(body.len(), &mut packet);
        packet.extend_from_slice(body);
        packet
    };
    prop_oneof![
        control.prop_map(move |(first, body)| whole(first, &body)),
        publish.prop_map(move |(flags, topic, id, properties, payload)| {
            let mut body = (topic.len() as u16).to_be_bytes().to_vec();
            body.extend(topic);
            if flags > 1 {
                body.extend(id.to_be_bytes());
            }
            if v5 {
                varint(properties.len(), &mut body);
                body.extend(properties);
            }
            body.extend(payload);
            whole(0x30 | flags, &body)
        })
    ]
    .boxed()
}

proptest! {
    /// Wherever packets are cut, the same is heard.
    #[test]
    fn packets_may_be_cut_anywhere(
        v5: bool,
        packets in any::<bool>().prop_flat_map(|v5| prop::collection::vec(packet(v5), 1..8)),
        cuts in prop::collection::vec(1usize..40, 1..200),
        junk in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let mut stream = packets.concat();
        stream.extend(junk);
        let at_once = whole(&stream, v5);
        let mut pieces = Vec::new();
        let mut rest = &stream[..];
        for cut in cuts {
            let (piece, more) = rest.split_at(cut.min(rest.len()));
            pieces.push(piece);
            rest = more;
        }
        pieces.push(rest);
        let cut = feed(pieces, v5);
        prop_assert_eq!(&cut.payload, &at_once.payload);
        prop_assert_eq!(cut.violation, at_once.violation);
        prop_assert_eq!(cut.events, at_once.events);
    }

    #[test]
    fn any_bytes_are_packets_or_a_violation(stream: Vec<u8>, v5: bool) {
        let heard = whole(&stream, v5);
        let payload: usize = heard.payload.iter().map(Vec::len).sum();
        prop_assert!(payload <= stream.len());
    }
}
