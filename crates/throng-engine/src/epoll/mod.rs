//! The epoll engine, for kernels and containers that allow no io_uring: one file descriptor a
//! connection, so the file limit bounds it.

mod opening;
mod poll;
mod reading;
mod sending;
mod worker;

pub(crate) use worker::run;
