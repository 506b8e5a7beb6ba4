//! What both engines share: the table of a worker's connections, their timers, whose turn it is, and
//! counting.
//!
//! The engine reports what happened to a connection and does what the
//! [`Outbox`](throng_core::behaviour::Outbox) says. The table keeps states, timers and counters, so that they
//! mean the same on either engine.
//!
//! `data.rs` has the table; `life.rs`, `early.rs`, `pairs.rs`, `events.rs`, `timers.rs` and `orders.rs` are what is
//! done with it.

mod conn;
mod data;
mod early;
mod events;
mod legs;
mod life;
mod opener;
mod orders;
mod pairs;
mod places;
mod ports;
mod roads;
mod room;
mod timers;

pub(crate) use conn::{Fired, State};
pub(crate) use data::Table;
pub(crate) use pairs::{OwnEnds, Step, is_cut, partner_of};
