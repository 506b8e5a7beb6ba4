//! The beginnings of records that have not all come yet, by connection: free at rest.

use crate::record::{HEADER, Header};
use std::collections::HashMap;

/// Spare buffers that are kept, and how large they may be.
const SPARE: usize = 16;
const SPARE_BYTES: usize = 32 * 1024;

/// Those of a worker's connections, by their numbers.
#[derive(Default)]
pub(crate) struct Parts {
    by_id: HashMap<u32, Vec<u8>>,
    spare: Vec<Vec<u8>>,
}

impl Parts {
    /// Keeps the beginning of a record.
    pub fn keep(&mut self, id: u32, bytes: &[u8]) {
        let mut part = self.spare.pop().unwrap_or_default();
        part.extend_from_slice(bytes);
        self.by_id.insert(id, part);
    }

    /// Completes the record that is kept with the first of `bytes`; `None` if that does not suffice, and
    /// then all of them are kept.
    pub fn complete(&mut self, id: u32, bytes: &mut &[u8]) -> Option<Vec<u8>> {
        let part = self.by_id.entry(id).or_default();
        loop {
            let wanted = match Header::of(part) {
                Header::Short => HEADER,
                Header::Length(len) => len,
                Header::Wrong => part.len(),
            };
            if part.len() >= wanted {
                break;
            }
            let (now, later) = bytes.split_at((wanted - part.len()).min(bytes.len()));
            part.extend_from_slice(now);
            *bytes = later;
            if part.len() < wanted {
                return None;
            }
        }
        self.by_id.remove(&id)
    }

    /// How many bytes are missing of the record that is kept, or, if none is, of a record's header.
    pub fn missing(&self, id: u32) -> u32 {
        let part = self.by_id.get(&id).map_or(&[][..], Vec::as_slice);
        let whole = match Header::of(part) {
            Header::Length(len) => len,
            Header::Short | Header::Wrong => HEADER,
        };
        whole.saturating_sub(part.len()).max(1) as u32
    }

    /// Takes back a buffer for the beginning of a record.
    pub fn give_back(&mut self, mut part: Vec<u8>) {
        if (1..=SPARE_BYTES).contains(&part.capacity()) && self.spare.len() < SPARE {
            part.clear();
            self.spare.push(part);
        }
    }

    /// Forgets a connection that is gone.
    pub fn forget(&mut self, id: u32) {
        if let Some(part) = self.by_id.remove(&id) {
            self.give_back(part);
        }
    }
}
