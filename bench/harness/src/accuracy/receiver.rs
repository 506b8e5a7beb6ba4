//! A receiver that notes when bytes arrive: a thread for each connection, blocked in read.

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::thread::{self, JoinHandle};
use std::time::Instant;

/// Messages of this many bytes are counted.
pub const MESSAGE: usize = 16;

/// Listens, and takes a given number of connections.
pub struct Receiver {
    at: SocketAddr,
    accepting: JoinHandle<Result<Vec<Instant>, String>>,
}

impl Receiver {
    /// Listens for `connections` on a port of 127.0.0.1 that nobody has.
    ///
    /// # Errors
    /// It can't listen.
    pub fn start(connections: u32) -> Result<Receiver, String> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .map_err(|e| format!("the receiver can't listen: {e}"))?;
        let at = listener
            .local_addr()
            .map_err(|e| format!("the receiver has no address: {e}"))?;
        let accepting = thread::spawn(move || {
            let mut readers = Vec::new();
            for _ in 0..connections {
                let (stream, _) = listener
                    .accept()
                    .map_err(|e| format!("the receiver can't accept: {e}"))?;
                readers.push(thread::spawn(move || read(stream)));
            }
            let mut all = Vec::new();
            for reader in readers {
                all.extend(reader.join().map_err(|_| "a receiver's thread failed")?);
            }
            all.sort_unstable();
            Ok(all)
        });
        Ok(Receiver { at, accepting })
    }

    /// Where to connect to.
    pub fn address(&self) -> SocketAddr {
        self.at
    }

    /// When each message arrived, in order, once all connections have ended.
    ///
    /// # Errors
    /// It could not accept them.
    pub fn arrivals(self) -> Result<Vec<Instant>, String> {
        self.accepting
            .join()
            .map_err(|_| "the receiver failed".to_owned())?
    }
}

/// An instant for each whole message; those that came in one read have the same.
fn read(mut stream: impl Read) -> Vec<Instant> {
    let (mut at, mut over) = (Vec::new(), 0);
    let mut buffer = vec![0; 1 << 16];
    // A reset ends it as a FIN does: what came before counts.
    while let Ok(n @ 1..) = stream.read(&mut buffer) {
        let now = Instant::now();
        over += n;
        at.extend(std::iter::repeat_n(now, over / MESSAGE));
        over %= MESSAGE;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::TcpStream;

    #[test]
    fn whole_messages_are_counted_however_they_are_cut() {
        let receiver = Receiver::start(2).unwrap();
        for pieces in [[40, 8], [1, 15]] {
            let mut stream = TcpStream::connect(receiver.address()).unwrap();
            for n in pieces {
                stream.write_all(&vec![b'x'; n]).unwrap();
            }
        }
        assert_eq!(receiver.arrivals().unwrap().len(), 4);
    }
}
