//! The WebSocket server over real sockets, tried by a client made of the same pure parts.

use crate::peer;
use crate::rig::{Serve, Side};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;
use throng_core::engine::Engine;
use throng_core::partials::Partials;
use throng_core::protocol::websocket::decoder::{Decoder, Event, Rules};
use throng_core::protocol::websocket::frame::{Header, Mask, Opcode, close};
use throng_core::protocol::websocket::handshake::client::Opening;
use throng_core::protocol::websocket::{Role, Violation, WsMode, WsServer};

on_each_engine![
    messages_of_every_size_are_echoed,
    a_client_that_reads_nothing_for_a_while_gets_all_its_echoes_in_order,
    a_request_and_frames_that_trickle_in_are_read_as_if_they_came_at_once,
    a_sink_answers_pings_and_nothing_else,
    a_close_is_answered_and_the_connection_ends,
    a_violation_is_closed_with_its_code_and_counted,
    who_sends_much_after_a_violation_still_learns_why_it_is_closed,
    who_speaks_no_websocket_is_answered_in_http,
    a_peer_that_leaves_in_its_handshake_is_noticed,
];

/// Small enough that sends wait for the peer.
const NARROW: usize = 32 * 1024;

fn serve(engine: Engine, mode: WsMode) -> Side {
    Serve::on(engine).with(|| WsServer::new(mode, 4 << 20, true))
}

/// Peers that send the whole request or a part of it, and then reset or close, all at once.
fn a_peer_that_leaves_in_its_handshake_is_noticed(engine: Engine) {
    const PEERS: u64 = 100;
    let mut request = Vec::new();
    opening().request(0, &mut request);
    let leaves: [fn(TcpStream); 2] = [peer::reset, drop];
    for mode in [WsMode::Echo, WsMode::Sink] {
        for sent in [request.len(), 20] {
            for leave in leaves {
                let side = serve(engine, mode);
                for _ in 0..PEERS {
                    let mut peer = peer::connect(side.address());
                    peer.write_all(&request[..sent]).expect("sent");
                    leave(peer);
                }
                let tally = side.wait("all end", |t| t.closed_in_all() == PEERS);
                assert_eq!(tally.accepted, PEERS, "{tally:?}");
                side.close();
            }
        }
    }
}

/// What a client saw: a message or a control frame.
#[derive(Debug, PartialEq, Eq)]
enum Came {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, Vec<u8>),
}

/// A client, blocking.
struct Client {
    stream: TcpStream,
    decoder: Decoder,
    partials: Partials,
    read: Vec<u8>,
    message: Option<(bool, Vec<u8>)>,
}

impl Client {
    fn new(stream: TcpStream) -> Client {
        Client {
            stream,
            decoder: Decoder::default(),
            partials: Partials::default(),
            read: Vec::new(),
            message: None,
        }
    }

    fn connect(address: SocketAddr) -> Client {
        Client::upgrade(peer::connect(address))
    }

    fn upgrade(stream: TcpStream) -> Client {
        let mut client = Client::new(stream);
        let opening = opening();
        let mut request = Vec::new();
        opening.request(0, &mut request);
        client.stream.write_all(&request).expect("sent");
        client.answered(&opening);
        client
    }

    /// Reads the answer to the handshake.
    fn answered(&mut self, opening: &Opening) {
        let mut piece = [0; 1000];
        loop {
            let n = self.stream.read(&mut piece).expect("an answer");
            assert!(n > 0, "closed in the handshake");
            let answered = opening
                .answered(0, &mut self.decoder, &mut self.partials, &piece[..n])
                .expect("a right answer");
            if let Some(answered) = answered {
                self.read.extend(&piece[answered.used..n]);
                return;
            }
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("sent");
    }

    fn frame(&mut self, fin: bool, opcode: Opcode, payload: &[u8]) {
        self.send(&frame(fin, opcode, payload));
    }

    /// The next message or control frame; `None` at the end of the stream.
    fn next(&mut self) -> Option<Came> {
        loop {
            let mut input = self.read.as_slice();
            let mut came = None;
            while came.is_none() {
                let rules = Rules::new(Role::Client);
                let event = self
                    .decoder
                    .next(&mut input, &rules, &mut self.partials)
                    .expect("a server that keeps to the protocol");
                let Some(event) = event else { break };
                match event {
                    Event::Start(start) => {
                        self.message.get_or_insert((start.text, Vec::new()));
                    }
                    Event::Payload(piece) => {
                        piece.append_to(&mut self.message.as_mut().expect("begun").1);
                    }
                    Event::End { message: true } => {
                        let (text, bytes) = self.message.take().expect("begun");
                        came = Some(if text {
                            Came::Text(bytes)
                        } else {
                            Came::Binary(bytes)
                        });
                    }
                    Event::End { message: false } => {}
                    Event::Pong(pong) => came = Some(Came::Pong(pong.bytes().into())),
                    Event::Close(c) => {
                        let reason = c.bytes().get(2..).unwrap_or_default();
                        came = Some(Came::Close(c.close_code(), reason.into()));
                    }
                    Event::Ping(_) => panic!("the server has no reason to ping"),
                }
            }
            let left = input.len();
            self.read.drain(..self.read.len() - left);
            if came.is_some() {
                return came;
            }
            let start = self.read.len();
            self.read.resize(start + 50_000, 0);
            let n = self.stream.read(&mut self.read[start..]).expect("read");
            self.read.truncate(start + n);
            if n == 0 {
                return None;
            }
        }
    }
}

fn opening() -> Opening {
    Opening::new("127.0.0.1", "/any?path", &[], 7).expect("a request")
}

fn frame(fin: bool, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mask = Mask([1, 0x82, 0x43, 0xf4]);
    let mut out = Vec::new();
    Header {
        fin,
        ..Header::whole(opcode, payload.len() as u64, Some(mask))
    }
    .encode(&mut out);
    mask.append(payload, &mut out);
    out
}

fn text(len: usize) -> Vec<u8> {
    "a€ü".bytes().cycle().take(len / 6 * 6).collect()
}

fn messages_of_every_size_are_echoed(engine: Engine) {
    let side = serve(engine, WsMode::Echo);
    let mut client = Client::connect(side.address());
    let sizes = [0, 1, 125, 126, 65_535, 65_536, 1 << 20];
    for size in sizes {
        client.frame(true, Opcode::Binary, &peer::noise(3, size));
        assert!(
            client.next() == Some(Came::Binary(peer::noise(3, size))),
            "{size}"
        );
        client.frame(true, Opcode::Text, &text(size));
        assert!(client.next() == Some(Came::Text(text(size))), "{size}");
    }
    client.frame(false, Opcode::Text, b"in ");
    client.frame(true, Opcode::Ping, b"between");
    client.frame(false, Opcode::Continuation, b"");
    client.frame(true, Opcode::Continuation, b"fragments");
    assert_eq!(client.next(), Some(Came::Pong(b"between".to_vec())));
    assert_eq!(client.next(), Some(Came::Text(b"in fragments".to_vec())));
    let messages = 2 * sizes.len() as u64 + 1;
    side.wait("all are counted", |t| {
        (t.websocket.upgraded, t.messages_received, t.messages_sent) == (1, messages, messages)
    });
    side.close();
}

fn a_client_that_reads_nothing_for_a_while_gets_all_its_echoes_in_order(engine: Engine) {
    const MESSAGES: usize = 200;
    let side = serve(engine, WsMode::Echo);
    let mut client = Client::upgrade(peer::connect_narrow(side.address(), NARROW));
    let mut writer = client.stream.try_clone().expect("another handle");
    let sending = thread::spawn(move || {
        for n in 0..MESSAGES {
            let message = peer::noise(n as u64, 20_000);
            writer
                .write_all(&frame(true, Opcode::Binary, &message))
                .expect("sent");
            writer
                .write_all(&frame(true, Opcode::Ping, &[n as u8]))
                .expect("sent");
        }
    });
    thread::sleep(Duration::from_millis(200));
    for n in 0..MESSAGES {
        assert!(
            client.next() == Some(Came::Binary(peer::noise(n as u64, 20_000))),
            "{n}"
        );
        assert_eq!(client.next(), Some(Came::Pong(vec![n as u8])));
    }
    sending.join().expect("all was sent");
    side.close();
}

fn a_request_and_frames_that_trickle_in_are_read_as_if_they_came_at_once(engine: Engine) {
    let side = serve(engine, WsMode::Echo);
    let opening = opening();
    let mut bytes = Vec::new();
    opening.request(0, &mut bytes);
    bytes.extend(frame(true, Opcode::Text, "tröpfeln".as_bytes()));
    bytes.extend(frame(true, Opcode::Ping, b"!"));
    bytes.extend(frame(true, Opcode::Binary, &[9; 300]));
    let mut client = Client::new(peer::connect(side.address()));
    client.stream.set_nodelay(true).expect("TCP_NODELAY");
    for byte in &bytes {
        client.send(&[*byte]);
    }
    client.answered(&opening);
    assert_eq!(client.next(), Some(Came::Text("tröpfeln".into())));
    assert_eq!(client.next(), Some(Came::Pong(b"!".to_vec())));
    assert_eq!(client.next(), Some(Came::Binary(vec![9; 300])));
    side.close();
}

fn a_sink_answers_pings_and_nothing_else(engine: Engine) {
    let side = serve(engine, WsMode::Sink);
    let mut client = Client::connect(side.address());
    client.frame(true, Opcode::Binary, &[1; 100_000]);
    client.frame(true, Opcode::Text, &text(100_000));
    client.frame(true, Opcode::Ping, b"there?");
    assert_eq!(client.next(), Some(Came::Pong(b"there?".to_vec())));
    let tally = side.tally();
    assert_eq!((tally.messages_received, tally.messages_sent), (2, 0));
    side.close();
}

fn a_close_is_answered_and_the_connection_ends(engine: Engine) {
    let side = serve(engine, WsMode::Echo);
    let codes = [1000, 1001, 3000, 4999];
    for code in codes {
        let mut client = Client::connect(side.address());
        let mut bytes = frame(true, Opcode::Binary, &[1; 70_000]);
        close(code, "bye", Some(Mask([9; 4])), &mut bytes);
        client.send(&bytes);
        assert!(matches!(client.next(), Some(Came::Binary(_))));
        assert_eq!(client.next(), Some(Came::Close(Some(code), vec![])));
        assert_eq!(client.next(), None);
    }
    side.wait("all are closed", |t| {
        t.closed_in_all() == codes.len() as u64
    });
    assert_eq!(side.tally().websocket.violations_in_all(), 0);
    side.close();
}

fn a_violation_is_closed_with_its_code_and_counted(engine: Engine) {
    let side = serve(engine, WsMode::Echo);
    let long = [text(60_000), vec![0xff; 6_000]].concat();
    let mut begun = frame(true, Opcode::Text, &long);
    begun.truncate(begun.len() - 5_999);
    let rows = [
        (vec![0x81, 1, b'a'], Violation::Unmasked),
        (vec![0xc1, 0x80, 0, 0, 0, 0], Violation::ReservedBits),
        (
            frame(true, Opcode::Continuation, b"x"),
            Violation::Continuation,
        ),
        (frame(true, Opcode::Text, b"\xff"), Violation::Text),
        // Found wrong while its beginning is being echoed.
        (begun, Violation::Text),
        (frame(true, Opcode::Close, &[3, 237]), Violation::CloseCode),
        (
            vec![0x82, 0xff, 0, 0, 0, 0, 0, 0x40, 0, 1, 0, 0, 0, 0],
            Violation::TooBig,
        ),
    ];
    for (bytes, kind) in &rows {
        let mut client = Client::connect(side.address());
        client.frame(true, Opcode::Text, b"right");
        assert_eq!(client.next(), Some(Came::Text(b"right".to_vec())));
        client.send(bytes);
        let expected = Came::Close(kind.close_code(), kind.words().into());
        assert_eq!(client.next(), Some(expected));
        assert_eq!(client.next(), None);
    }
    let tally = side.wait("all are counted", |t| {
        t.websocket.violations_in_all() == rows.len() as u64 && t.open() == 0
    });
    assert_eq!(tally.websocket.violations(Violation::Text), 2);
    assert_eq!(tally.websocket.upgraded, rows.len() as u64);
    side.close();
}

fn who_sends_much_after_a_violation_still_learns_why_it_is_closed(engine: Engine) {
    let side = serve(engine, WsMode::Echo);
    let mut client = Client::connect(side.address());
    let much = [vec![0xc1, 0x80, 0, 0, 0, 0], vec![1; 8 << 20]].concat();
    client.send(&much);
    let kind = Violation::ReservedBits;
    let expected = Came::Close(kind.close_code(), kind.words().into());
    assert_eq!(client.next(), Some(expected));
    assert_eq!(client.next(), None, "an end, not a reset");
    side.close();
}

fn who_speaks_no_websocket_is_answered_in_http(engine: Engine) {
    let side = serve(engine, WsMode::Echo);
    for (request, status, kind) in [
        (
            &b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"[..],
            "426",
            Violation::Refused,
        ),
        (
            b"PUT / HTTP/1.1\r\nHost: h\r\n\r\n",
            "405",
            Violation::Refused,
        ),
        (b"EHLO example.com\r\n", "400", Violation::NotHttp),
    ] {
        let before = side.tally().websocket.violations(kind);
        let mut stream = peer::connect(side.address());
        stream.write_all(request).expect("sent");
        let mut answer = String::new();
        stream
            .read_to_string(&mut answer)
            .expect("an answer and an end");
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
        side.wait("it is counted", |t| {
            t.websocket.violations(kind) == before + 1
        });
    }
    assert_eq!(side.tally().websocket.upgraded, 0);
    side.close();
}
