//! The epoll engine, for systems that do not allow io_uring. Each connection has a file descriptor, so
//! RLIMIT_NOFILE bounds their number.

mod asked;
mod early;
mod ending;
mod opening;
mod pairs;
mod poll;
mod reading;
mod rest;
mod rounds;
mod sending;
mod splicing;
mod worker;

pub(crate) use rounds::set_up;
