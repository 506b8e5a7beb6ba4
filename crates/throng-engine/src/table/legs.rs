//! What is known of pairs: where partners go, and how far the streams of each have come.

use super::roads::Roads;
use crate::job::Partners;
use std::time::Duration;

/// Its peer has finished sending.
pub(super) const PEER_FINISHED: u8 = 1;
/// And did so before its partner's peer.
pub(super) const FIRST: u8 = 2;
/// It is about to finish sending.
pub(super) const FINISHING: u8 = 4;
/// It has finished sending.
pub(super) const FINISHED: u8 = 8;
/// It has ended, and requests are still running in the kernel.
pub(super) const RESTS: u8 = 16;
/// It is being opened, and the connection that it is for has ended.
pub(super) const ALONE: u8 = 32;

/// The pairs of a worker.
#[derive(Default)]
pub(super) struct Pairs {
    pub roads: Option<Roads>,
    pub timeout: Duration,
    /// Whether behaviours are to know who connections are accepted from.
    pub asks_who: bool,
    /// A byte for each connection.
    pub legs: Vec<u8>,
}

impl Pairs {
    /// Pairs whose partners go where `partners` says.
    pub fn new(partners: Partners, asks_who: bool) -> Pairs {
        Pairs {
            asks_who,
            roads: Some(Roads::of(&partners.routes)),
            timeout: partners.timeout,
            legs: Vec::new(),
        }
    }

    pub fn leg(&mut self, index: u32) -> &mut u8 {
        &mut self.legs[index as usize]
    }
}
