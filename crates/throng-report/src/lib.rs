//! Draws reports. While a run lasts, [`live`] draws a [`Snapshot`](throng_core::summary::Snapshot). At its end,
//! [`text`] draws the [`Summary`](throng_core::summary::Summary) for people, and [`json`] for scripts (docs/summary.md
//! describes it). [`plan`] draws what a machine can hold, [`tune`] the system's settings. All of them use [`human`] for
//! numbers, [`colour`] for colours and [`mod@file`] to write to a file. [`tcpkali`] draws a run as tcpkali does, and
//! [`dump`] its traffic. [`statsd`] sends metrics while the run lasts, [`prometheus`] and
//! [`otlp`] draw them for others, and [`hdrlog`], [`samples`] and [`csv`]
//! write measurements to files. [`http`] has the forms of ab, wrk and hey, [`junit`] and
//! [`github`] those of programs that run tests. [`sweep`] draws an experiment, [`probe`] what stands between two ends. [`page`] draws help and documents. [`html`]
//! draws results as pages for a browser, with the charts of [`chart`].
//!
//! Nothing here measures or decides anything: a report shows the data.

#![forbid(unsafe_code)]

pub mod chart;
mod ci;
pub mod colour;
pub mod compare;
pub mod csv;
pub mod dump;
pub mod file;
pub mod github;
pub mod hdrlog;
pub mod html;
pub mod http;
pub mod json;
pub mod junit;
pub mod live;
mod log;
pub mod manifest;
pub mod otlp;
pub mod page;
pub mod plan;
pub mod probe;
pub mod prometheus;
pub mod samples;
mod sparkline;
pub mod statsd;
pub mod sweep;
pub mod tcpkali;
pub mod text;
pub mod transparent;
pub mod tui;
pub mod tune;
pub mod utc;
pub mod watched;

pub use throng_core::human;
