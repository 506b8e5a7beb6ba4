//! A receiver that knows when bytes arrived: a thread per connection, blocked in recvmsg.
//!
//! A thread that is woken by bytes reads its clock some 20 to 100 µs after they arrived. The delay varies,
//! which would blur the gaps between them. So the times are the kernel's, taken when a packet passes the
//! stack (SO_TIMESTAMPNS, socket(7); Linux reports it for TCP, too, as of the last packet of a read). On loopback
//! that is within the sender's system call.

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, RecvMsg, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use std::io::{self, IoSliceMut, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Messages of this many bytes are counted.
pub const MESSAGE: usize = 16;

/// Listens, and accepts a given number of connections.
pub struct Receiver {
    at: SocketAddr,
    accepting: JoinHandle<Result<Vec<Duration>, String>>,
}

impl Receiver {
    /// Listens for `connections` on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// It can't listen, or the kernel gives no times.
    pub fn start(connections: u32) -> Result<Receiver, String> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .map_err(|e| format!("the receiver can't listen: {e}"))?;
        // Sockets that are accepted inherit it.
        setsockopt(&listener, sockopt::ReceiveTimestampns, &true)
            .map_err(|e| format!("the receiver gets no times from the kernel: {e}"))?;
        let at = listener
            .local_addr()
            .map_err(|e| format!("the receiver has no address: {e}"))?;
        until_times_come(&listener, at)?;
        let accepting = thread::spawn(move || {
            let mut readers = Vec::new();
            for _ in 0..connections {
                let (stream, _) = listener
                    .accept()
                    .map_err(|e| format!("the receiver can't accept: {e}"))?;
                readers.push(thread::spawn(move || read(&stream)));
            }
            let mut all = Vec::new();
            for reader in readers {
                all.extend(reader.join().map_err(|_| "a receiver's thread failed")??);
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

    /// When each message arrived, since 1970, in order, once all connections have ended.
    ///
    /// # Errors
    /// It could not accept them, or the kernel did not report when something arrived.
    pub fn arrivals(self) -> Result<Vec<Duration>, String> {
        self.accepting
            .join()
            .map_err(|_| "the receiver failed".to_owned())?
    }
}

/// When the last byte of each message arrived. It is read message by message, because each read reports the time of
/// its last packet only.
fn read(stream: &TcpStream) -> Result<Vec<Duration>, String> {
    let (mut at, mut had) = (Vec::new(), 0);
    let mut buffer = [0; MESSAGE];
    let mut space = cmsg_space!(TimeSpec);
    loop {
        let mut into = [IoSliceMut::new(&mut buffer[had..])];
        let fd = stream.as_raw_fd();
        let got = match recvmsg::<()>(fd, &mut into, Some(&mut space), MsgFlags::empty()) {
            Err(Errno::EINTR) => continue,
            // A reset ends it as a FIN does: earlier messages count.
            Err(_) => return Ok(at),
            Ok(got) if got.bytes == 0 => return Ok(at),
            Ok(got) => got,
        };
        had += got.bytes;
        if had == MESSAGE {
            had = 0;
            let time = time_of(&got).ok_or("the kernel did not report when a message arrived")?;
            at.push(time);
        }
    }
}

/// The kernel's time of arrival.
fn time_of(got: &RecvMsg<()>) -> Option<Duration> {
    got.cmsgs().ok()?.find_map(|c| match c {
        ControlMessageOwned::ScmTimestampns(t) => Some(Duration::from(t)),
        _ => None,
    })
}

/// Waits until the kernel records times: it starts to do so in the background, once a first socket asks for them.
fn until_times_come(listener: &TcpListener, at: SocketAddr) -> Result<(), String> {
    const TRIES: u32 = 1000;
    let failed = |e: io::Error| format!("the receiver can't connect to itself: {e}");
    let mut sender = TcpStream::connect(at).map_err(failed)?;
    let (stream, _) = listener.accept().map_err(failed)?;
    let mut space = cmsg_space!(TimeSpec);
    for _ in 0..TRIES {
        sender.write_all(b"x").map_err(failed)?;
        let mut byte = [0];
        let mut into = [IoSliceMut::new(&mut byte)];
        let fd = stream.as_raw_fd();
        let got = recvmsg::<()>(fd, &mut into, Some(&mut space), MsgFlags::empty())
            .map_err(|e| failed(e.into()))?;
        if time_of(&got).is_some() {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(1));
    }
    Err("the kernel does not record when messages arrive (SO_TIMESTAMPNS)".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Instant, SystemTime, UNIX_EPOCH};

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

    #[test]
    fn a_message_arrives_while_it_is_sent_however_late_it_is_read() {
        let receiver = Receiver::start(1).unwrap();
        let mut stream = TcpStream::connect(receiver.address()).unwrap();
        stream.set_nodelay(true).unwrap();
        let (mut sent, began) = (Vec::new(), Instant::now());
        let since_1970 = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        while began.elapsed() < Duration::from_millis(50) {
            let before = since_1970();
            stream.write_all(&[b'x'; MESSAGE]).unwrap();
            sent.push((before, since_1970()));
            thread::sleep(Duration::from_millis(1));
        }
        drop(stream);
        let arrived = receiver.arrivals().unwrap();
        assert_eq!(arrived.len(), sent.len());
        // Two messages that the kernel merged before they were read have the later one's time.
        let within = arrived.iter().zip(&sent);
        let within = within.filter(|(t, (from, to))| (from..=to).contains(t));
        assert!(within.count() * 2 > sent.len(), "{arrived:?} {sent:?}");
    }
}
