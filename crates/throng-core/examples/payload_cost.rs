//! What rendering a message costs: `cargo run --release -p throng-core --example payload_cost`.

use std::hint::black_box;
use std::io;
use std::time::Instant;
use throng_core::payload::{
    Cursor, Dice, Framing, Messages, ParseOptions, Script, Speaker, What, parse,
};

fn main() {
    println!(
        "{:<56} {:>8} {:>8} {:>10}",
        "message", "bytes", "ns", "ns, of 64"
    );
    for (text, framing) in [
        (r"hello tcp", Framing::Raw),
        (r"\{re [a-z]{8}}", Framing::Raw),
        (r"\{re [a-zA-Z0-9]{32}}", Framing::Raw),
        (r"\{re [a-z]+}", Framing::Raw),
        (r"\{re (GET|PUT|DELETE) /[a-z]{4}/[0-9]{2,6}}", Framing::Raw),
        (r"\{connection.uid}", Framing::Raw),
        (r"\{connection.uid%10}", Framing::Raw),
        (r"\{connection.re [a-z]{8}}", Framing::Raw),
        (r"\{message.marker}", Framing::Raw),
        (r"\{connection.uid} \{re [a-z]{8}}", Framing::Raw),
        (
            r"\{connection.uid} \{re [a-z]{8}}",
            Framing::WebSocketServer,
        ),
        (
            r"\{connection.uid} \{re [a-z]{8}}",
            Framing::WebSocketClient,
        ),
        (r"\{re [a-z]{1000}}", Framing::Raw),
        (r"\{re [a-z]{1000}}", Framing::WebSocketClient),
        (r"\{connection.uid}\{<64 KiB>}", Framing::Raw),
        (r"\{connection.uid}\{<64 KiB>}", Framing::WebSocketServer),
        (r"\{connection.uid}\{<64 KiB>}", Framing::WebSocketClient),
    ] {
        let options = ParseOptions {
            unescape: false,
            files: &|_| io::Result::Ok(vec![b'x'; 65536]),
        };
        // A name in an expression has no spaces.
        let written = text.replace("<64 KiB>", "<f>");
        let message = parse(written.as_bytes(), &options).expect("it is well formed");
        let messages = Messages {
            first: vec![],
            repeated: vec![message],
        };
        let script = Script::new(&messages, framing, 64, 1).expect("it is short");
        let (one, bytes) = cost(&script, 1);
        let (many, _) = cost(&script, 64);
        println!("{text:<40} {framing:<15?} {bytes:>8.0} {one:>8.1} {many:>10.1}");
    }
}

/// Nanoseconds and bytes of a message, if up to `most` share a portion.
fn cost(script: &Script, most: u32) -> (f64, f64) {
    let mut dice = Dice::new(1);
    let mut out = Vec::new();
    let mut speaker = Speaker {
        uid: 123_456,
        unix_us: 1_700_000_000_000_000,
        message_id: 0,
        number: 0,
    };
    let mut best = f64::MAX;
    let (mut messages, mut bytes) = (0u64, 0u64);
    for _ in 0..5 {
        let mut at = Cursor::default();
        let before = messages;
        let start = Instant::now();
        while start.elapsed().as_millis() < 40 {
            for _ in 0..64 {
                out.clear();
                speaker.uid += 1;
                let Some(portion) = script.repeated(0, at, most, &speaker, &mut dice, &mut out)
                else {
                    return (0.0, 0.0);
                };
                if let What::Rendered = portion.what {
                    black_box(&out);
                }
                at = portion.next;
                messages += u64::from(portion.messages);
                bytes += u64::from(portion.bytes);
            }
        }
        best = best.min(start.elapsed().as_nanos() as f64 / (messages - before) as f64);
    }
    (best, bytes as f64 / messages as f64)
}
