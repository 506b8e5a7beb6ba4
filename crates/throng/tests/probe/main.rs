//! `throng probe` over paths that the test itself makes: two networks with a router in between, and what runs there.

#[path = "../common/mod.rs"]
mod common;
mod idle;
mod path;
mod rig;
mod table;
