//! The `throng` binary as its users meet it: real processes, real sockets, real peers.
//!
//! Each test has a network namespace of its own, so they run side by side; what loads the machine is
//! in `tests/heavy`. The peers' programs are in `tests/peers`; scripts/test installs what runs them.

#[path = "../common/mod.rs"]
mod common;

mod bad_input;
mod bottleneck;
mod churn;
mod compare;
mod diagnosis;
mod drops;
mod engines;
mod expect;
mod fastopen;
mod fleet;
mod fleet_faults;
mod generated;
mod held;
mod helm;
mod keys;
mod lab;
mod limits;
mod load;
mod loss;
mod manifest;
mod maximum;
mod merge;
mod names;
#[cfg(feature = "fleet")]
mod nats;
mod output;
mod outputs;
mod peers;
mod plan;
mod proxy;
mod sandbox;
mod scenario;
mod serve;
mod signals;
mod sockets;
mod sources;
mod ssh;
mod storms;
mod sweep;
mod target_server;
mod tcpkali;
mod tui;
mod tune;
mod unix;
mod watch;
mod web;
