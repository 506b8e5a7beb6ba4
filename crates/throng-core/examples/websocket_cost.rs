//! What WebSocket costs, on one core and without sockets: `cargo run --release -p throng-core --example
//! websocket_cost`. The best of several rounds.

use std::hint::black_box;
use std::time::Instant;
use throng_core::behaviour::{At, Behaviour, Outbox};
use throng_core::partials::Partials;
use throng_core::protocol::websocket::decoder::{Decoder, Event, MAX_MESSAGE, Rules};
use throng_core::protocol::websocket::frame::{self, Mask, Opcode};
use throng_core::protocol::websocket::handshake::client::Opening;
use throng_core::protocol::websocket::handshake::server;
use throng_core::protocol::websocket::{Role, WsMode, WsServer};
use throng_core::stats::Counters;
use throng_core::time::Time;

/// What a worker reads at once, about.
const READ: usize = 60_000;
const ROUNDS: usize = 7;

fn main() {
    println!("{:<44} {:>8} {:>10} {:>8}", "", "bytes", "ns", "GB/s");
    let mask = Mask([1, 2, 3, 4]);
    for size in [16, 125, 1024, 65_536, 1 << 20] {
        let mut bytes = vec![1u8; size];
        tell("mask in place", size, 1, || {
            black_box(mask.apply(black_box(&mut bytes)));
        });
        let mut out = Vec::with_capacity(size);
        tell("mask into a buffer", size, 1, || {
            out.clear();
            black_box(mask.append(black_box(&bytes), &mut out));
        });
    }
    for size in [16, 125, 1024, 16_000] {
        let n = READ / size;
        for opcode in [Opcode::Binary, Opcode::Text] {
            for mode in [WsMode::Echo, WsMode::Sink] {
                serve(mode, opcode, size, n);
            }
            receive(opcode, size, n);
        }
    }
    handshakes();
}

/// Prints what each of the `n` things costs that `f` does with `bytes` bytes each.
fn tell(what: &str, bytes: usize, n: usize, mut f: impl FnMut()) {
    let turns = ((1 << 27) / (bytes * n).max(256)).clamp(1, 2_000_000);
    let best = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            (0..turns).for_each(|_| f());
            start.elapsed().as_secs_f64() / (turns * n) as f64
        })
        .fold(f64::MAX, f64::min);
    let rate = bytes as f64 / best / 1e9;
    println!("{what:<44} {bytes:>8} {:>10.1} {rate:>8.1}", best * 1e9);
}

fn frames(opcode: Opcode, size: usize, n: usize, masked: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    for i in 0..n as u32 {
        let mask = masked.then(|| Mask(i.wrapping_mul(0x9e37_79b9).to_le_bytes()));
        frame::whole(opcode, &vec![b'a'; size], mask, &mut bytes);
    }
    bytes
}

fn opening() -> Opening {
    Opening::new("127.0.0.1:8080", "/", &[], 1).expect("a right request")
}

fn serve(mode: WsMode, opcode: Opcode, size: usize, n: usize) {
    let mut server = WsServer::new(mode, MAX_MESSAGE, true);
    let (mut conn, counters) = (Default::default(), Counters::default());
    let at = At {
        id: 0,
        now: Time(0),
        up_us: 0,
        counters: &counters,
    };
    let (mut out, mut request) = (Outbox::default(), Vec::new());
    opening().request(0, &mut request);
    server.received(&mut conn, &request, &at, &mut out);
    for n in [1, n] {
        let bytes = frames(opcode, size, n, true);
        tell(
            &format!("server, {mode:?}, {opcode:?}, {n} in a read"),
            size,
            n,
            || {
                out.bytes.clear();
                server.received(&mut conn, black_box(&bytes), &at, &mut out);
            },
        );
    }
    assert!(!out.close && counters.messages_received.get() > 0);
}

fn receive(opcode: Opcode, size: usize, n: usize) {
    let bytes = frames(opcode, size, n, false);
    let rules = Rules::new(Role::Client);
    let (mut decoder, mut partials) = (Decoder::default(), Partials::default());
    tell(
        &format!("client receives {opcode:?}, {n} in a read"),
        size,
        n,
        || {
            let mut input = black_box(bytes.as_slice());
            let mut messages = 0;
            while let Ok(Some(event)) = decoder.next(&mut input, &rules, &mut partials) {
                messages += usize::from(event == Event::End { message: true });
            }
            assert_eq!(messages, n);
        },
    );
}

fn handshakes() {
    let opening = opening();
    let (mut request, mut answer) = (Vec::new(), Vec::new());
    tell("client's request", opening.request_bytes(), 1, || {
        request.clear();
        opening.request(black_box(7), &mut request);
    });
    let mut partials = Partials::default();
    tell("server's answer to it", request.len(), 1, || {
        answer.clear();
        let done = server::receive(
            &mut Decoder::default(),
            &mut partials,
            &request,
            &[],
            &mut answer,
        );
        assert_eq!(done, Ok(Some((request.len(), None))));
    });
    tell("client's check of that", answer.len(), 1, || {
        let done = opening.answered(7, &mut Decoder::default(), &mut partials, &answer);
        assert_eq!(
            done.map(|done| done.map(|d| d.used)),
            Ok(Some(answer.len()))
        );
    });
}
