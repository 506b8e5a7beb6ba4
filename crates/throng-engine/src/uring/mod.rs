//! The io_uring engine. A worker has many rings, each with a file table of its own, so that memory alone
//! bounds the number of sockets, not RLIMIT_NOFILE.
//!
//! # How a send is carried out
//!
//! At most one send of a connection is in the kernel at a time. A *silent* send takes what the socket's
//! buffer has room for, and has a completion only if that was not everything (`unsettled.rs`). A *waiting*
//! send completes when the kernel has taken everything. A *spill* is a copy of bytes that wait for an earlier
//! send or for the peer (`spill.rs`). The first row that applies decides:
//!
//! | the connection's last send | the behaviour asks for | length | list of silent sends | then it is |
//! | --- | --- | --- | --- | --- |
//! | is under way | anything | any | any | copied to the spill, sent after the earlier send |
//! | has ended | `Memory` | ≤ 4 KiB | has room | silent, from the behaviour's memory |
//! | has ended | `Memory` | any | any | waiting, from the behaviour's memory |
//! | has ended | `Bytes` | > 4 KiB | any | waiting, from where the behaviour wrote them |
//! | has ended | `Bytes`, `Reply` | any | has room | silent, from where the behaviour wrote them |
//! | has ended | `Back`, `Across` | any | has room | silent, from the receive buffer |
//! | has ended | anything | any | is full | copied to the spill, sent at once |
//!
//! Of a stream that goes across, what came in several buffers goes out in one silent send (`gather.rs`). Bytes that the behaviour wrote also go through the spill while all 65,536 slots of `outgoing.rs` are in
//! use. What a silent send leaves over goes to the front of the spill. A connection with more than 256 KiB in
//! its spill is not read from until the spill is empty.
//!
//! # Files
//!
//! `abi.rs`, `mapping.rs`, `buffers.rs`, `op.rs` and `ring.rs` are the interface to the kernel; `outgoing.rs`,
//! `spill.rs` and `unsettled.rs` keep what is being sent; `worker.rs` has a worker's state. `arming.rs`,
//! `closing.rs`, `sending.rs` and `asked.rs` do what behaviours ask for; `received.rs`, `settling.rs` and
//! `opening.rs` deal with completions, `pairs.rs` with connections in pairs, `early.rs` with connections whose first bytes go with the SYN, `resets.rs` and `checks.rs` with resets that have none. `rounds.rs` is the loop,
//! `ending.rs` its end, and `pair.rs` runs two workers in one thread.

mod abi;
mod arming;
mod asked;
mod buffers;
mod bulk;
mod checks;
mod closing;
mod early;
mod ending;
mod flooding;
mod floods;
mod gather;
mod mapping;
mod op;
mod opening;
mod outgoing;
mod pair;
mod pairs;
mod probe;
mod received;
mod resets;
mod ring;
mod rounds;
mod sending;
mod settling;
mod spill;
mod unsettled;
mod worker;

pub(crate) use pair::{Paired, paired, run_pair};
pub use probe::{Support, probe};
pub(crate) use rounds::set_up;
pub(crate) use worker::Rank;
