//! TLS against itself, in memory, and against openssl and nginx, over sockets of this machine.

mod authority;
mod config;
mod memory;
mod nginx;
mod openssl_client;
mod openssl_server;
mod peer;
mod probe;
mod worker;
