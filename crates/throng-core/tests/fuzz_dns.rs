//! Whatever a peer sends, and whatever a user asks for, DNS neither panics nor depends on where a read ends.

mod fuzzing;

use fuzzing::fuzz;
use throng_core::payload::Dice;
use throng_core::protocol::dns::{Answer, Answers, NotDns, Query, Rcode};

/// The same as [`Answers`], for a stream that is complete.
fn at_once(mut stream: &[u8]) -> (Vec<Answer>, Option<NotDns>) {
    let mut all = vec![];
    while let [a, b, message @ ..] = stream {
        let bytes = u16::from_be_bytes([*a, *b]);
        if bytes < 12 {
            return (all, Some(NotDns::TooShort(bytes)));
        }
        if message.get(2).is_some_and(|flags| flags & 0x80 == 0) {
            return (all, Some(NotDns::NotAnAnswer));
        }
        let Some((message, rest)) = message.split_at_checked(usize::from(bytes)) else {
            break;
        };
        all.push(Answer {
            id: u16::from_be_bytes([message[0], message[1]]),
            rcode: Rcode::from_bits(message[3]),
            truncated: message[2] & 2 != 0,
            bytes,
        });
        stream = rest;
    }
    (all, None)
}

#[test]
fn answers_are_the_same_however_they_are_split_and_whatever_they_are() {
    let mut dice = Dice::new(3);
    let mut below = move |n: usize| (dice.word() % n.max(1) as u64) as usize;
    fuzz("dns", 1, |stream| {
        let mut state = Answers::default();
        let mut all = vec![];
        let mut error = None;
        let mut rest = stream;
        while !rest.is_empty() && error.is_none() {
            let longest = rest.len().min(1 << below(12));
            let (now, later) = rest.split_at(1 + below(longest));
            error = state.feed(now, |answer| all.push(answer)).err();
            rest = later;
        }
        assert_eq!((all, error), at_once(stream), "{stream:02x?}");
    });
}

#[test]
fn queries_are_built_right_or_refused_in_one_line() {
    let mut built = 0;
    fuzz("dns_query", 2, |text| {
        let text = String::from_utf8_lossy(text);
        match text.parse::<Query>() {
            Ok(query) => {
                built += 1;
                let bytes = query.template(text.len().is_multiple_of(2)).bytes;
                let length = usize::from(u16::from_be_bytes([bytes[0], bytes[1]]));
                assert_eq!(length, bytes.len() - 2);
                // The name ends where its labels say, within its limits.
                let mut at = 14;
                while bytes[at] != 0 {
                    assert!(bytes[at] <= 63, "{text}");
                    at += 1 + usize::from(bytes[at]);
                }
                assert!(at - 14 < 255, "{text}");
                assert_eq!(bytes[at + 1..at + 3], query.kind().to_be_bytes());
                let json = serde_json::to_string(&query).unwrap();
                assert_eq!(serde_json::from_str::<Query>(&json).unwrap(), query);
            }
            Err(error) => {
                let error = error.to_string();
                assert!(!error.contains(['\n', '\r', '\0']), "{error:?}");
            }
        }
    });
    assert!(built > 1000, "only {built} inputs were queries");
}
