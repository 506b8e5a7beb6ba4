//! TLS against itself, in memory, and against openssl and nginx, over sockets of this machine.

mod authority;
mod memory;
mod probe;
mod worker;
