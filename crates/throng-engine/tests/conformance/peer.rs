//! The other end of what is tested: plain sockets of the standard library, blocking, with deadlines.

use crate::rig::DEADLINE;
use socket2::{Domain, SockRef, Socket, Type};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// A connection to `address`, whose reads and writes fail after the deadline.
pub fn connect(address: SocketAddr) -> TcpStream {
    with_deadline(TcpStream::connect(address).expect("a connection"))
}

/// The same with small buffers and small segments: with loopback's usual segments of 64 KB a small
/// window would wait for the persist timer again and again.
pub fn connect_narrow(address: SocketAddr, buffer: usize) -> TcpStream {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(buffer).expect("SO_RCVBUF");
    socket.set_send_buffer_size(buffer).expect("SO_SNDBUF");
    socket.set_tcp_mss(1448).expect("TCP_MAXSEG");
    socket.connect(&address.into()).expect("a connection");
    with_deadline(socket.into())
}

/// Connections that throng opened, `n` of them.
pub fn accept(listener: &TcpListener, n: usize) -> Vec<TcpStream> {
    listener.set_nonblocking(true).expect("O_NONBLOCK");
    let began = Instant::now();
    let mut all = Vec::new();
    while all.len() < n {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false).expect("O_NONBLOCK");
                all.push(with_deadline(stream));
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                assert!(
                    began.elapsed() < DEADLINE,
                    "{} of {n} connections came",
                    all.len()
                );
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(e) => panic!("accept: {e}"),
        }
    }
    all
}

/// A listener on a free port of 127.0.0.1.
pub fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("a listener")
}

/// A listener on `address` whose accept queue has `backlog` places (Linux adds one), and small buffers.
pub fn listener_with(address: &str, backlog: i32, buffer: Option<usize>) -> TcpListener {
    let address: SocketAddr = address.parse().expect("an address");
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
    if let Some(buffer) = buffer {
        // Accepted sockets inherit these.
        socket.set_recv_buffer_size(buffer).expect("SO_RCVBUF");
        socket.set_send_buffer_size(buffer).expect("SO_SNDBUF");
    }
    socket.bind(&address.into()).expect("a free port");
    socket.listen(backlog).expect("a listener");
    socket.into()
}

/// An address without a listener, and the socket that keeps it so (and can listen later).
pub fn closed_port() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    socket.bind(&any.into()).expect("a free port");
    let address = socket.local_addr().expect("bound").as_socket();
    (socket, address.expect("an IP address"))
}

fn with_deadline(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    stream.set_write_timeout(Some(DEADLINE)).expect("a timeout");
    stream
}

/// Closes with a reset.
pub fn reset(stream: TcpStream) {
    SockRef::from(&stream)
        .set_linger(Some(Duration::ZERO))
        .expect("SO_LINGER");
}

/// Whether the other end has closed or reset the connection, once all its bytes are read.
pub fn ended(stream: &mut TcpStream) -> bool {
    let mut rest = [0; 4096];
    loop {
        match stream.read(&mut rest) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::ConnectionReset => return true,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => panic!("neither an end nor a reset: {e:?}"),
        }
    }
}

/// Sends `bytes` and reads as many back, which must be the same.
pub fn round_trip(stream: &mut TcpStream, bytes: &[u8]) {
    stream.write_all(bytes).expect("sent");
    let mut back = vec![0; bytes.len()];
    stream.read_exact(&mut back).expect("echoed");
    assert!(back == bytes, "another echo than what was sent");
}

/// `len` bytes that look random, always the same for a `seed`.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    // xorshift64*
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        bytes.extend_from_slice(&x.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// An endless stream of bytes in which nothing can be missing, twice or out of order unnoticed: a prime
/// number of random bytes over and over. Reads or checks from a position.
pub struct Endless {
    block: Vec<u8>,
    pub at: usize,
}

impl Endless {
    pub fn new() -> Endless {
        Endless {
            block: noise(7, 1_000_003),
            at: 0,
        }
    }

    /// The next bytes, at most `most`; not taken yet.
    pub fn next(&self, most: usize) -> &[u8] {
        let from = self.at % self.block.len();
        &self.block[from..self.block.len().min(from + most)]
    }

    /// Checks that `bytes` come next, and goes on behind them.
    pub fn check(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let expected = self.next(bytes.len());
            let n = expected.len();
            assert!(
                &bytes[..n] == expected,
                "the stream is broken between {} and {}",
                self.at,
                self.at + n
            );
            self.at += n;
            bytes = &bytes[n..];
        }
    }
}
