//! The pure core of throng: what is asked ([`scenario`]), what follows from it on a given machine ([`host`],
//! [`capacity`], [`plan`]), what is sent and when ([`payload`], [`protocol`], [`pacing`], [`wheel`]), what a connection
//! does ([`behaviour`]) on which event loop ([`engine`]), what was counted ([`stats`]), why a run got no further
//! ([`diagnosis`]) and what is reported at the end ([`summary`]). [`tune`] is what a system should be set to,
//! [`experiment`] what several runs say together, [`probe`] what stands between two ends,
//! [`lab`] several hosts on one machine, [`watched`] what a system under test spends.
//!
//! Nothing here opens a socket, reads a file or a clock, or starts a thread: time is an argument
//! and bytes are slices, so that everything is tested without I/O and drives every engine alike.

#![forbid(unsafe_code)]

pub mod address;
pub mod behaviour;
pub mod capacity;
pub mod diagnosis;
pub mod engine;
pub mod expect;
pub mod experiment;
pub mod host;
pub mod human;
pub mod lab;
pub mod maximum;
pub mod metrics;
pub mod nearest;
pub mod observer;
pub mod pacing;
pub mod partials;
pub mod payload;
pub mod plan;
pub mod probe;
pub mod protocol;
pub mod record;
pub mod scenario;
pub mod section;
pub mod shard;
mod split_mix;
pub mod stats;
pub mod storm;
pub mod summary;
pub mod target;
pub mod time;
pub mod transparent;
pub mod tune;
pub mod units;
pub mod unix_socket;
pub mod watched;
pub mod wheel;
