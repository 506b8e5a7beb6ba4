//! What the connections of a pair speak: bytes as they are, or TLS, which throng-tls has.

use crate::behaviour::At;
use crate::protocol::tls::TlsFailure;
use crate::stats::{Closed, Measured};
use crate::time::Time;

/// Speaks TLS on connections of pairs, without I/O. Connections have the [numbers](At::id) of their events: even ones are of clients,
/// odd ones go to backends.
pub trait Legs {
    /// Whether any connection speaks it. If not, nothing here is called.
    const SPEAK: bool;

    /// Whether connections to backends speak it, or those of clients.
    fn speaks(&self, to_backend: bool) -> bool;

    /// Begins the handshake of connection `at.id`, which goes to this backend if it goes to one. What is to be sent is appended to `out`.
    ///
    /// # Errors
    /// Why there can be none. It is counted.
    fn begin(&mut self, backend: u16, at: &At, out: &mut Vec<u8>) -> Result<(), TlsFailure>;

    /// When the handshake of connection `id` has to be over; `None` if none is under way.
    fn shakes_until(&self, id: u32) -> Option<Time>;

    /// Takes bytes that connection `at.id` received. Their plaintext is appended to `plain`, and what TLS answers by itself to `out`.
    fn take(&mut self, bytes: &[u8], at: &At, plain: &mut Vec<u8>, out: &mut Vec<u8>) -> Taken;

    /// Appends `plain` to `out`, as connection `id` sends it.
    fn seal(&mut self, id: u32, plain: &[u8], out: &mut Vec<u8>);

    /// Appends that connection `id` sends no more.
    fn seal_end(&mut self, id: u32, out: &mut Vec<u8>);

    /// Counts that the handshake of connection `at.id` failed, or that it broke.
    fn failed(&mut self, why: TlsFailure, at: &At);

    /// Connection `at.id` is gone.
    fn closed(&mut self, why: Closed, at: &At);

    /// The measurements since the last call.
    fn take_measured(&mut self) -> Measured;
}

/// What came of bytes that were received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// The handshake is over.
    pub secured: bool,
    /// The peer has announced that it sends no more (close_notify).
    pub ended: bool,
    /// It failed, or broke. That is counted.
    pub failed: Option<TlsFailure>,
}

/// Connections on which bytes are sent as they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bare;

impl Legs for Bare {
    const SPEAK: bool = false;

    fn speaks(&self, _: bool) -> bool {
        false
    }

    fn begin(&mut self, _: u16, _: &At, _: &mut Vec<u8>) -> Result<(), TlsFailure> {
        Ok(())
    }

    fn shakes_until(&self, _: u32) -> Option<Time> {
        None
    }

    fn take(&mut self, bytes: &[u8], _: &At, plain: &mut Vec<u8>, _: &mut Vec<u8>) -> Taken {
        plain.extend_from_slice(bytes);
        Taken::default()
    }

    fn seal(&mut self, _: u32, plain: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(plain);
    }

    fn seal_end(&mut self, _: u32, _: &mut Vec<u8>) {}

    fn failed(&mut self, _: TlsFailure, _: &At) {}

    fn closed(&mut self, _: Closed, _: &At) {}

    fn take_measured(&mut self) -> Measured {
        Measured::default()
    }
}
