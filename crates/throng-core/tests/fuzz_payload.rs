//! Messages from anybody's keyboard: each line of an input is a message.

mod fuzzing;

use std::io;
use throng_core::payload::{
    Cursor, Dice, Framing, Message, Messages, ParseOptions, Portion, Script, Speaker, What, parse,
};

/// Rendered bytes after which an input counts as checked.
const ENOUGH: usize = 256 * 1024;

fn files(name: &str) -> io::Result<Vec<u8>> {
    match name {
        "big" => Ok(vec![b'B'; 5000]),
        name if name.len() < 8 => Ok(name.as_bytes().to_vec()),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

fn read(text: &[u8], unescape: bool) -> Option<Message> {
    let options = ParseOptions {
        unescape,
        files: &files,
    };
    match parse(text, &options) {
        Ok(message) => {
            let json = serde_json::to_string(&message).unwrap();
            let back: Message = serde_json::from_str(&json).unwrap();
            assert_eq!(
                back, message,
                "plain data is the same when it is read again"
            );
            Some(message)
        }
        Err(e) => {
            assert!(e.at <= text.len(), "the place is in the text: {e}");
            assert!(!e.to_string().contains(char::is_control), "one line: {e}");
            assert!(!e.what.is_empty() && !e.right.is_empty(), "{e}");
            None
        }
    }
}

fn holds(script: &Script, portion: &Portion, rendered: usize, most: u32) {
    match &portion.what {
        What::Memory(range) => {
            assert!(range.start <= range.end && range.end as usize <= script.memory().len());
            assert_eq!((range.len(), rendered), (portion.bytes as usize, 0));
        }
        What::Rendered => {
            assert_eq!(rendered, portion.bytes as usize);
            assert!(!script.is_static());
        }
    }
    assert!(portion.bytes > 0 && portion.messages <= most);
    assert!(portion.messages > 0 || !portion.ends_message);
}

fn walk(script: &Script, seed: u64) {
    let mut dice = Dice::new(seed);
    let mut out = Vec::new();
    let speaker = Speaker {
        uid: seed,
        ..Speaker::default()
    };
    let mut at = Cursor::default();
    let mut all = 0;
    while let Some(portion) = script.first(at, &speaker, &mut dice, &mut out) {
        holds(script, &portion, out.len(), u32::MAX);
        all += out.len();
        out.clear();
        at = portion.next;
    }
    at = Cursor::default();
    for most in [1, 2, 1, 7, 1000, 3, 1, 1] {
        let Some(portion) = script.repeated(0, at, most, &speaker, &mut dice, &mut out) else {
            assert!(!script.has_repeated());
            break;
        };
        holds(script, &portion, out.len(), most);
        all += out.len();
        out.clear();
        at = portion.next;
        if all > ENOUGH {
            break;
        }
    }
}

#[test]
fn any_lines_are_messages_or_refused_and_portions_are_what_they_say() {
    fuzzing::fuzz("payload", 0x70617921, |input| {
        for unescape in [false, true] {
            let lines = input.split(|b| *b == b'\n');
            let messages: Vec<Message> = lines.filter_map(|line| read(line, unescape)).collect();
            let first = messages[..messages.len() / 2].to_vec();
            let messages = Messages {
                first,
                repeated: messages,
            };
            for (framing, combine) in [
                (Framing::Raw, 50),
                (Framing::WebSocketClient, 3),
                (Framing::WebSocketServer, 1),
            ] {
                match Script::new(&messages, framing, combine, 1) {
                    Ok(script) => walk(&script, input.len() as u64),
                    Err(e) => assert!(!e.to_string().contains(char::is_control), "{e}"),
                }
            }
        }
    });
}
