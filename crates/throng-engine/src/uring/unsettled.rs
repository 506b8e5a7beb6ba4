//! Silent sends: those without a completion when they succeed.
//!
//! A short send nearly always ends while it is submitted. Its completion says nothing new, and costs as much as any
//! other: two of the four completions of an echo would be of this kind. Silent sends never wait (MSG_DONTWAIT), and
//! complete only if they fail or end short (IOSQE_CQE_SKIP_SUCCESS). Once all entries of a ring are submitted, the
//! silent sends without a completion have succeeded. They are then *settled*.

/// The maximum length of a silent send whose end is reported to the behaviour: an empty send buffer always takes
/// this much. The rest of a send that ends short is copied.
pub(super) const SILENT_MOST: usize = 4096;
/// The maximum number of unsettled sends of a ring: as many as a tag's extra bits can distinguish.
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
    /// In the receive buffers of this message.
    Gathered(u16),
}

/// An unsettled send.
#[derive(Debug)]
pub(super) struct Silent {
    pub index: u32,
    pub generation: u16,
    /// Whether its end is reported to the behaviour.
    pub tell: bool,
    pub source: Source,
    pub len: u32,
    /// The number of bytes that the kernel took, or a negative errno. All bytes unless a completion says otherwise.
    pub res: i32,
}

/// The unsettled sends of one ring.
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

    /// Whether another send can be added.
    pub fn has_room(&self) -> bool {
        self.0.len() < MOST
    }

    /// Whether a send of connection `index` is among them whose end is reported to the behaviour.
    pub fn is_to_tell(&self, index: u32) -> bool {
        self.0.iter().any(|send| send.index == index && send.tell)
    }

    /// A completion says that the send at `position` failed, or how many bytes the kernel took.
    pub fn cut_short(&mut self, position: u16, res: i32) {
        if let Some(send) = self.0.get_mut(usize::from(position)) {
            send.res = res;
        }
    }
}
