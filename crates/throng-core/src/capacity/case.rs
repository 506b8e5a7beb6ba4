//! The common basis of all rows: question and host, and what follows from both.

use super::question::{Question, Role};
use crate::engine::Engine;
use crate::host::Host;
use std::net::SocketAddr;

/// Files that throng has open for moments, in addition to those that each worker starts with: an event loop, a listener
/// or a probe, and for each end a ring or a first connection.
const SPARE_FILES: u64 = 4;

/// The common basis of all rows.
pub(super) struct Case<'a> {
    pub(super) question: &'a Question,
    pub(super) host: &'a Host,
    pub(super) engine: Engine,
    pub(super) workers: u32,
    /// Ends of each connection in throng's process.
    pub(super) ends_own: u64,
    /// Ends of each connection on this machine.
    pub(super) ends_here: u64,
    /// Whether any end is IPv6.
    pub(super) v6: bool,
    /// Whether the machine is a reverse proxy: another program, with two ends for each connection through it.
    pub(super) proxy: bool,
}

impl<'a> Case<'a> {
    pub(super) fn new(question: &'a Question, host: &'a Host, engine: Engine) -> Case<'a> {
        let proxy = question.proxies.is_some();
        let own_server = question.role == Role::Both && question.targets.is_empty();
        let here = question.targets.iter().any(|t| host.has_address(t.ip()));
        let local = question.unix || question.role == Role::Client && here;
        let workers = question.workers.unwrap_or(host.cores).max(1);
        let asked = question.asked_here().unwrap_or(u64::MAX).max(1);
        let ends_own = match own_server || proxy || question.relays {
            true => 2,
            false => 1,
        };
        // With very few files, all workers but one would find none.
        let files = host
            .files
            .hard
            .saturating_sub(host.files.open + SPARE_FILES);
        let start = files / (engine.files_per_worker(ends_own) + ends_own + 1);
        Case {
            question,
            host,
            engine,
            // No more workers than connections: an idle worker would only obscure the figures.
            workers: u64::from(workers).min(asked).min(start.max(1)) as u32,
            ends_own,
            ends_here: match local || proxy || question.role == Role::Both {
                true => 2,
                false => 1,
            },
            v6: question.targets.iter().any(SocketAddr::is_ipv6),
            proxy,
        }
    }

    /// Whether connections are spread over so many targets that they share ports.
    pub(super) fn spreads(&self) -> bool {
        let question = self.question;
        let own_server = question.role == Role::Both && question.targets.is_empty();
        own_server && !question.relays && !self.proxy
    }

    pub(super) fn connects(&self) -> bool {
        self.question.role != Role::Server || self.proxy
    }

    pub(super) fn accepts(&self) -> bool {
        self.ends_here == 2 || self.question.role == Role::Server
    }

    /// The number of connections that remedies aim at: the one asked for, else `or`.
    pub(super) fn goal(&self, or: u64) -> u64 {
        self.question.asked_here().unwrap_or(or)
    }
}
