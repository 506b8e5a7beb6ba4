//! Messages that were sent and are not answered yet: a queue for each connection. All queues share one allocation, so a
//! connection without such messages needs only two numbers.

use crate::time::Time;

/// The end of a queue; no message has this index.
const NONE: u32 = u32::MAX;
/// How many ids there are: the lower halves of messages' numbers.
const IDS: u32 = 1 << 16;

/// A message that waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    /// When it was due; `None` if it is not measured.
    pub due: Option<Time>,
    /// When it was handed to the kernel.
    pub sent: Time,
    /// Its number, whose lower half is its id; or, if an echo answers it, the number of bytes still to come.
    pub id: u32,
}

/// One connection's queue. Belongs to exactly one [`Outstanding`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Queue {
    head: u32,
    tail: u32,
}

impl Default for Queue {
    fn default() -> Queue {
        Queue {
            head: NONE,
            tail: NONE,
        }
    }
}

impl Queue {
    /// Whether no message waits.
    pub fn is_empty(self) -> bool {
        self.head == NONE
    }
}

#[derive(Clone, Copy, Debug)]
struct Node {
    message: Sent,
    next: u32,
}

/// The queues of all connections of a worker.
#[derive(Debug)]
pub(super) struct Outstanding {
    nodes: Vec<Node>,
    free: u32,
}

impl Default for Outstanding {
    fn default() -> Outstanding {
        Outstanding {
            nodes: Vec::new(),
            free: NONE,
        }
    }
}

impl Outstanding {
    /// Adds a message to the end of a queue.
    pub fn push(&mut self, queue: &mut Queue, message: Sent) {
        let node = Node {
            message,
            next: NONE,
        };
        let at = if self.free == NONE {
            self.nodes.push(node);
            (self.nodes.len() - 1) as u32
        } else {
            let at = self.free;
            self.free = self.nodes[at as usize].next;
            self.nodes[at as usize] = node;
            at
        };
        if queue.head == NONE {
            queue.head = at;
        } else {
            self.nodes[queue.tail as usize].next = at;
        }
        queue.tail = at;
    }

    /// The message at the head of a queue.
    pub fn first(&mut self, queue: Queue) -> Option<&mut Sent> {
        self.nodes
            .get_mut(queue.head as usize)
            .map(|node| &mut node.message)
    }

    /// The message behind `n` others.
    pub fn nth(&self, queue: Queue, n: u32) -> Option<&Sent> {
        self.nodes
            .get(self.place(queue, n)?)
            .map(|node| &node.message)
    }

    /// The same, to be changed.
    pub fn nth_mut(&mut self, queue: Queue, n: u32) -> Option<&mut Sent> {
        let at = self.place(queue, n)?;
        self.nodes.get_mut(at).map(|node| &mut node.message)
    }

    /// Where the message behind `n` others is.
    fn place(&self, queue: Queue, n: u32) -> Option<usize> {
        let mut at = queue.head;
        for _ in 0..n {
            at = self.nodes.get(at as usize)?.next;
        }
        Some(at as usize)
    }

    /// Takes the message at the head.
    pub fn pop(&mut self, queue: &mut Queue) -> Option<Sent> {
        let at = queue.head;
        let node = *self.nodes.get(at as usize)?;
        queue.head = node.next;
        self.give_back(at);
        Some(node.message)
    }

    /// Takes the first message for which `is` returns true, wherever it is in the queue.
    pub fn take(&mut self, queue: &mut Queue, is: impl Fn(&Sent) -> bool) -> Option<Sent> {
        let (mut before, mut at) = (NONE, queue.head);
        while at != NONE {
            let node = self.nodes[at as usize];
            if is(&node.message) {
                if before == NONE {
                    queue.head = node.next;
                } else {
                    self.nodes[before as usize].next = node.next;
                }
                if queue.tail == at {
                    queue.tail = before;
                }
                self.give_back(at);
                return Some(node.message);
            }
            (before, at) = (at, node.next);
        }
        None
    }

    /// The first number from `next` on whose id no message of a queue has, and how many numbers from there on, up to `most`,
    /// have such ids. If each id is in use, `next` and one. Numbers in a queue ascend, and `next` is above them. No id is
    /// 0, which means none in protocols such as MQTT.
    pub fn free_ids(&self, queue: Queue, next: u32, most: u32) -> (u32, u32) {
        let mut first = next;
        while first.wrapping_sub(next) < IDS {
            if first.is_multiple_of(IDS) {
                first = first.wrapping_add(1);
            }
            let until_zero = IDS - first % IDS;
            let (mut free, mut at, mut skipped) = (most.min(until_zero), queue.head, false);
            while let Some(node) = self.nodes.get(at as usize) {
                let since = first.wrapping_sub(node.message.id);
                match since.wrapping_neg() % IDS {
                    0 => {
                        first = first.wrapping_add(1);
                        skipped = true;
                    }
                    until_again => free = free.min(until_again),
                }
                if since < IDS {
                    // Later messages' ids come later.
                    break;
                }
                at = node.next;
            }
            if !skipped {
                return (first, free);
            }
        }
        (next, 1)
    }

    fn give_back(&mut self, at: u32) {
        self.nodes[at as usize].next = self.free;
        self.free = at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    fn message(what: u32) -> Sent {
        Sent {
            due: (!what.is_multiple_of(3)).then_some(Time(1)),
            sent: Time(what.into()),
            id: what,
        }
    }

    #[test]
    fn ids_in_use_are_left_out() {
        let mut all = Outstanding::default();
        let mut queue = Queue::default();
        assert_eq!(all.free_ids(queue, 7, 100), (7, 100));
        // Two of the first round, one of the second, and the last message.
        for number in [5, 6, IDS + 8, 2 * IDS + 3] {
            all.push(&mut queue, message(number));
        }
        assert_eq!(all.free_ids(queue, 2 * IDS + 4, 100), (2 * IDS + 4, 1));
        assert_eq!(all.free_ids(queue, 2 * IDS + 5, 100), (2 * IDS + 7, 1));
        assert_eq!(all.free_ids(queue, 2 * IDS + 8, 100), (2 * IDS + 9, 100));
        assert_eq!(
            all.free_ids(queue, 2 * IDS + 9, u32::MAX),
            (2 * IDS + 9, IDS - 9)
        );
    }

    #[test]
    fn no_id_is_0() {
        let all = Outstanding::default();
        let queue = Queue::default();
        assert_eq!(all.free_ids(queue, 0, 100), (1, 100));
        assert_eq!(all.free_ids(queue, IDS - 3, 100), (IDS - 3, 3));
        assert_eq!(all.free_ids(queue, 2 * IDS, 1), (2 * IDS + 1, 1));
    }

    #[test]
    fn numbers_go_on_where_each_id_is_in_use() {
        let mut all = Outstanding::default();
        let mut queue = Queue::default();
        for number in 0..IDS {
            all.push(&mut queue, message(number.wrapping_sub(9)));
        }
        assert_eq!(all.free_ids(queue, IDS - 9, 100), (IDS - 9, 1));
        all.take(&mut queue, |sent| sent.id == 400);
        assert_eq!(all.free_ids(queue, IDS - 9, 100), (IDS + 400, 1));
    }

    proptest! {
        #[test]
        fn queues_that_share_memory_do_not_share_messages(
            steps in prop::collection::vec((0usize..3, 0u8..8), 0..400),
        ) {
            let mut all = Outstanding::default();
            let mut queues = [Queue::default(); 3];
            let mut models: [VecDeque<Sent>; 3] = Default::default();
            for (n, (of, action)) in steps.into_iter().enumerate() {
                let (queue, model) = (&mut queues[of], &mut models[of]);
                match action {
                    0..4 => {
                        all.push(queue, message(n as u32));
                        model.push_back(message(n as u32));
                    }
                    4 | 5 => prop_assert_eq!(all.pop(queue), model.pop_front()),
                    6 => {
                        let is = |s: &Sent| s.id.is_multiple_of(2);
                        let place = model.iter().position(is);
                        let expected = place.and_then(|at| model.remove(at));
                        prop_assert_eq!(all.take(queue, is), expected);
                    }
                    _ => {
                        while let Some(message) = all.pop(queue) {
                            prop_assert_eq!(Some(message), model.pop_front());
                        }
                    }
                }
                prop_assert_eq!(queue.is_empty(), model.is_empty());
                prop_assert_eq!(all.first(*queue).copied(), model.front().copied());
                for nth in 0..=model.len() {
                    prop_assert_eq!(all.nth(*queue, nth as u32), model.get(nth));
                }
            }
        }
    }
}
