//! Sends of which the kernel says nothing when all goes well.
//!
//! A short send nearly always ends while it is submitted, so its completion says nothing new, and costs the
//! kernel and us as much as one that does: of an echo's four completions two would be such. These sends never
//! wait (MSG_DONTWAIT), and complete only if they fail or end short (IOSQE_CQE_SKIP_SUCCESS). Once all entries of
//! a ring are submitted, those without a completion are sent: then they are settled.

/// The longest send that a behaviour is told of and that is silent: what a send buffer that is empty takes for
/// sure. The rest of one that ends short is copied.
pub(super) const SILENT_MOST: usize = 4096;
/// The most unsettled sends of a ring: as many as a tag's extra bits can name.
const MOST: usize = 1 << 16;

/// Where the bytes of a send are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source {
    /// In the behaviour's memory, from here on.
    Memory(u32),
    /// Where the behaviour wrote them: in this slot of what is outgoing.
    Written(u16),
    /// In this receive buffer.
    Received(u16),
}

/// A send that is not settled.
#[derive(Debug)]
pub(super) struct Silent {
    pub index: u32,
    pub generation: u16,
    /// Whether the behaviour is to be told.
    pub tell: bool,
    pub source: Source,
    pub len: u32,
    /// How many bytes were taken, or the error's negative number; all of them, unless a completion says otherwise.
    pub res: i32,
}

/// The sends of one ring that are not settled.
#[derive(Default)]
pub(super) struct SilentSends(Vec<Silent>);

impl SilentSends {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a send, and returns its position. `spare` is memory for the list, used if it has none: a ring
    /// that is not in use keeps no memory for this.
    pub fn push(&mut self, send: Silent, spare: &mut Vec<Silent>) -> u16 {
        if self.0.is_empty() {
            self.0 = std::mem::take(spare);
        }
        self.0.push(send);
        (self.0.len() - 1) as u16
    }

    /// Takes all sends out.
    pub fn take(&mut self) -> Vec<Silent> {
        std::mem::take(&mut self.0)
    }

    /// Whether one more can be told from the others.
    pub fn has_room(&self) -> bool {
        self.0.len() < MOST
    }

    /// Whether a send of connection `index` is among them of which its behaviour is to be told.
    pub fn is_to_tell(&self, index: u32) -> bool {
        self.0.iter().any(|send| send.index == index && send.tell)
    }

    /// A completion says that the send at `position` failed, or how much of it was taken.
    pub fn cut_short(&mut self, position: u16, res: i32) {
        if let Some(send) = self.0.get_mut(usize::from(position)) {
            send.res = res;
        }
    }
}
