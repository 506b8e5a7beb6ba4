use super::*;
use crate::protocol::rig::Rig;
use proptest::prelude::*;

impl Rig<HttpServer> {
    fn new() -> Rig<HttpServer> {
        Rig::of(HttpServer::new(784_111_777_000_000, 1))
    }

    /// What was sent since the last call, without dates.
    fn take(&mut self) -> String {
        let sent = String::from_utf8(std::mem::take(&mut self.sent)).unwrap();
        let lines = sent.split_inclusive('\n');
        lines.filter(|line| !line.starts_with("Date: ")).collect()
    }
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes()
}

const HELLO: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n\r\nHello, world!\n";

#[test]
fn a_connection_is_remembered_in_40_bytes() {
    assert_eq!(size_of::<Served>(), 40);
}

#[test]
fn requests_are_answered_in_order_wherever_they_are_cut() {
    let post = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    let chunks =
        b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let all = [
        get("/hello"),
        post.to_vec(),
        get("/bytes/10?chunked"),
        chunks.to_vec(),
        b"POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345".to_vec(),
        b"HEAD /bytes/999999 HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
        get("/status/204"),
        get("/nothing"),
        b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".to_vec(),
        b"GET / HTTP/1.0\r\n\r\n".to_vec(),
    ]
    .concat();
    let plain = "Content-Type: text/plain\r\n";
    let expected = [
        HELLO.to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 3\r\n\r\nabc"
            .into(),
        format!(
            "HTTP/1.1 200 OK\r\n{plain}Transfer-Encoding: chunked\r\n\r\na\r\nThe quick \r\n0\r\n\r\n"
        ),
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n\
         Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
            .into(),
        HELLO.to_owned(),
        format!("HTTP/1.1 200 OK\r\n{plain}Content-Length: 999999\r\n\r\n"),
        "HTTP/1.1 204 No Content\r\n\r\n".into(),
        format!("HTTP/1.1 404 Not Found\r\n{plain}Content-Length: 0\r\n\r\n"),
        HELLO.replace("\r\n\r\n", "\r\nConnection: keep-alive\r\n\r\n"),
        HELLO.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"),
    ]
    .concat();
    let mut rig = Rig::new();
    rig.receive(&all);
    assert_eq!(rig.take(), expected);
    assert!(rig.closed);
    let tally = rig.counters.read();
    assert_eq!((tally.http.requests, tally.messages_sent), (10, 10));
    // A body that is echoed in chunks keeps its bytes, not its chunks.
    for at in 0..all.len() {
        let mut rig = Rig::new();
        rig.receive(&all[..at]);
        rig.receive(&all[at..]);
        let sent = rig.take();
        let whole = expected.replace("3\r\nabc\r\n0", "abc");
        let sent = [
            "3\r\nabc\r\n0",
            "1\r\na\r\n2\r\nbc\r\n0",
            "2\r\nab\r\n1\r\nc\r\n0",
        ]
        .iter()
        .fold(sent, |sent, cut| sent.replace(cut, "abc"));
        assert_eq!(sent, whole, "{at}");
        assert!(rig.server.partials.is_empty() && rig.server.waiting.is_empty());
    }
}

#[test]
fn large_bodies_go_out_in_pieces_and_what_follows_waits() {
    for (path, chunked) in [("/bytes/200000", false), ("/bytes/200000?chunked", true)] {
        let mut rig = Rig::new();
        rig.receive(&[get(path), get("/hello")].concat());
        let sent = rig.take();
        let (head, rest) = sent.split_once("\r\n\r\n").unwrap();
        let body = rest.strip_suffix(HELLO).unwrap();
        assert_eq!(head.contains("Transfer-Encoding: chunked"), chunked);
        let size = match chunked {
            true => {
                assert!(body.starts_with("10000\r\nThe quick"));
                // Three whole chunks, the rest, and the last one.
                body.len() - 3 * 9 - 7 - 5
            }
            false => body.len(),
        };
        assert_eq!(size, 200_000);
    }
}

#[test]
fn a_delay_takes_its_time_and_what_follows_waits() {
    let mut rig = Rig::new();
    rig.receive(&[get("/delay/10ms..20ms"), get("/hello")].concat());
    assert_eq!(rig.take(), "");
    let due = rig.wake.unwrap();
    assert!((10_000_000..=20_000_000).contains(&due.0), "{due:?}");
    // Too early, as beyond the range of a wheel.
    rig.now = Time(5);
    rig.event(|server, conn, at, out| server.woken(conn, at, out));
    assert_eq!((rig.take(), rig.wake), (String::new(), Some(due)));
    assert!(rig.wake());
    assert_eq!(rig.take(), format!("{HELLO}{HELLO}"));
}

#[test]
fn events_come_at_their_rate_and_are_left_out_while_the_peer_does_not_take_them() {
    let mut rig = Rig::new();
    rig.receive(&get("/events?rate=10&count=3"));
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    let event = |n: u32, us: u64| {
        let event = format!("id: {n}\ndata: {us}\n\n");
        format!("{:x}\r\n{event}\r\n", event.len())
    };
    let began = 784_111_777_000_000;
    assert_eq!(rig.take(), format!("{head}{}", event(0, began)));
    assert!(rig.wake());
    assert_eq!(rig.take(), event(1, began + 100_000));
    // Busy: it is not sent when it is due, nor is the next one.
    let due = rig.wake.take().unwrap();
    rig.conn.flags |= BUSY;
    rig.now = due;
    rig.event(|server, conn, at, out| server.woken(conn, at, out));
    assert_eq!(rig.take(), "");
    rig.now = due + Duration::from_millis(150);
    rig.event(|server, conn, at, out| server.sent(conn, 1, at, out));
    let late = event(2, began + 350_000);
    assert_eq!(rig.take(), format!("{late}0\r\n\r\n"), "the last of three");
    assert!(!rig.closed);
    rig.receive(&get("/hello"));
    assert_eq!(rig.take(), HELLO);
}

#[test]
fn what_makes_no_sense_is_answered_and_the_connection_closed_once_the_peer_is_quiet() {
    for (request, status) in [
        ("GET / HTTP/1.1\r\n\r\n", "400 Bad Request"),
        ("\x16\x03\x01", "400 Bad Request"),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
            "501 Not Implemented",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
            "400 Bad Request",
        ),
    ] {
        let mut rig = Rig::new();
        rig.receive(&[get("/hello"), request.as_bytes().to_vec()].concat());
        let expected = format!(
            "{HELLO}HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\
             Connection: close\r\n\r\n"
        );
        assert_eq!(rig.take(), expected, "{request:?}");
        assert!(!rig.closed);
        rig.receive(b"more");
        assert!(rig.wake() && !rig.closed, "something had arrived");
        assert!(rig.wake() && rig.closed);
        assert_eq!(rig.counters.read().http.requests, 1);
    }
    let mut rig = Rig::new();
    rig.receive(b"GET / HTTP/1.1\r\nHost: a\r\nA: ");
    rig.receive(&vec![b'x'; 20_000]);
    assert!(rig.take().starts_with("HTTP/1.1 431 "));
    assert!(rig.server.partials.is_empty());
}

#[test]
fn a_client_that_waits_for_100_gets_it() {
    let mut rig = Rig::new();
    let head =
        b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    rig.receive(head);
    let sent = rig.take();
    assert!(
        sent.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK"),
        "{sent}"
    );
    rig.receive(b"ab");
    assert_eq!(rig.take(), "ab");
}

#[test]
fn a_peer_that_asks_for_more_than_it_takes_is_not_kept_for() {
    let mut rig = Rig::new();
    rig.receive(&get("/delay/1h"));
    for _ in 0..MOST_WAITING / 1000 + 1 {
        rig.receive(&[b'x'; 1000]);
    }
    assert!(rig.closed && rig.server.waiting.is_empty());
}

proptest! {
    #[test]
    fn any_bytes_are_read_alike_however_they_are_cut(
        start in prop::sample::select(vec![&b""[..], b"GET / HTTP/1.1\r\n", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"]),
        rest in prop::collection::vec(prop::sample::select(b"GETHost: a/ HTP/1.1\r\n\r\n012\0".to_vec()), 0..60),
    ) {
        let input = [start, &rest, b"\r\n\r\n"].concat();
        let (mut whole, mut singly) = (Rig::new(), Rig::new());
        whole.receive(&input);
        for byte in &input {
            singly.receive(&[*byte]);
        }
        prop_assert_eq!(whole.take(), singly.take());
        prop_assert_eq!(whole.closed, singly.closed);
    }
}
