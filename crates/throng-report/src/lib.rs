//! Draws what a run came to: a [`Snapshot`](throng_core::summary::Snapshot) while it lasts ([`live`]),
//! a [`Summary`](throng_core::summary::Summary) at its end, for people ([`text`]) and for scripts
//! ([`json`], described in docs/summary.md); what a machine can hold before it ([`plan`]), and what its system
//! should be set to ([`tune`]). [`human`] is how all of them say numbers, [`colour`] when and how they are
//! coloured, [`mod@file`] how a report gets into a file. [`tcpkali`] draws a run in that program's lines,
//! [`dump`] its dumps of traffic, [`statsd`] sends metrics while the run lasts; [`hdrlog`] and [`samples`] write
//! down what was measured meanwhile.
//!
//! Nothing here measures or decides anything: a report says what the data say, and no more.

#![forbid(unsafe_code)]

pub mod colour;
pub mod dump;
pub mod file;
pub mod hdrlog;
pub mod json;
pub mod live;
mod log;
pub mod plan;
pub mod samples;
mod sparkline;
pub mod statsd;
pub mod tcpkali;
pub mod text;
pub mod tune;

pub use throng_core::human;
