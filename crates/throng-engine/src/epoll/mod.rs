//! The epoll engine, for kernels and containers that allow no io_uring: one file descriptor a
//! connection, so the file limit bounds it.

mod poll;
mod worker;

pub(crate) use worker::run;
