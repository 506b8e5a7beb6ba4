//! Kernel sockets, as both engines use them: addresses, options, listeners, what an errno means, and the
//! eventfd that wakes a worker.

mod address;
mod alone;
mod errno;
mod eventfd;
mod listener;
mod options;
mod stream;

pub(crate) use address::Address;
pub use alone::{connect, look};
pub(crate) use errno::{close_cause, fail_cause, length, was_established};
pub(crate) use eventfd::EventFd;
pub use listener::{Listener, Reach, listen, listen_unix};
pub(crate) use options::{ANY_PORT, Making, PORT_LATER, RESETS, SocketOption, set_options};
pub use options::{Buffers, Setting, SocketOptions};
pub(crate) use stream::{Ends, bind, ends, finish_sending, stream, without_waiting};
