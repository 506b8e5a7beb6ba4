//! Whether any connection stands, where servers accept connections and close them at once.

use std::collections::VecDeque;
use std::time::Duration;
use throng_core::stats::{Closed, FailCause, Tally};

/// A connection that is open for this long stands.
const STANDS: Duration = Duration::from_secs(1);
/// A target that has refused, or closed early, so many connections on each place, and let none stand, will not.
const ENOUGH: u64 = 3;

/// Looks at the counts of a run for a connection that stands.
#[derive(Default)]
pub(super) struct Standing {
    /// When was looked, and how many connections had been established by then: the last look that is old enough, and those
    /// after it.
    looks: VecDeque<(Duration, u64)>,
    found: bool,
}

impl Standing {
    /// Looks at the counts at `at`.
    pub fn look(&mut self, at: Duration, now: &Tally) {
        if self.found {
            return;
        }
        self.looks.push_back((at, now.established));
        while self
            .looks
            .get(1)
            .is_some_and(|(then, _)| *then + STANDS <= at)
        {
            self.looks.pop_front();
        }
        // If more are open than were established since then, one of them was established before.
        self.found = self.looks.front().is_some_and(|(then, established)| {
            *then + STANDS <= at && now.open() > now.established - established
        });
    }

    /// Whether none of the `asked` connections ever stood or brought anything, although each was tried several times, and
    /// refused one way or another.
    pub fn is_hopeless(&self, now: &Tally, asked: u64) -> bool {
        let failed = now.failed_in_all() - now.failed(FailCause::TimedOut);
        let closed = now.closed_in_all();
        let (refused, silent) = match now.ready {
            // Whoever closed them, and whatever was received: it was about a handshake that failed (TLS, WebSocket, a tunnel).
            0 => (failed + closed, true),
            _ => {
                let by_peers = closed - now.closed(Closed::ByUs);
                (failed + by_peers, now.bytes_received == 0)
            }
        };
        !self.found && silent && refused >= asked.saturating_mul(ENOUGH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use throng_core::stats::Counters;

    /// The counts after so many connections were established, refused and closed by their peer.
    fn counts(established: u64, refused: u32, closed: u64) -> Tally {
        let counters = Counters::default();
        counters.established.add(established);
        counters.ready.add(established);
        (0..refused).for_each(|_| counters.failed(FailCause::Refused));
        counters.closed(Closed::ByPeer, closed);
        counters.read()
    }

    /// What is seen of counts, a look each 500 ms.
    fn seen(all: &[Tally]) -> Standing {
        let mut standing = Standing::default();
        for (n, counts) in all.iter().enumerate() {
            standing.look(Duration::from_millis(500 * n as u64), counts);
        }
        standing
    }

    #[test]
    fn connections_that_are_closed_as_fast_as_they_are_established_do_not_stand() {
        let churn: Vec<Tally> = (0..10).map(|n| counts(4 * n + 2, 0, 4 * n)).collect();
        assert!(seen(&churn).is_hopeless(&churn[9], 10));
        assert!(!seen(&churn).is_hopeless(&churn[9], 13), "too few tries");
        // Two are established in each second, and three are open.
        let one: Vec<Tally> = (0..10).map(|n| counts(n + 3, 0, n)).collect();
        assert!(!seen(&one).is_hopeless(&one[9], 1));
        // A connection that stood once is enough.
        let gone: Vec<Tally> = one.into_iter().chain([counts(20, 0, 20)]).collect();
        assert!(!seen(&gone).is_hopeless(&gone[10], 1));
    }

    #[test]
    fn a_target_that_refuses_all_is_hopeless_and_one_that_says_something_is_not() {
        let refused = [counts(0, 29, 0), counts(0, 30, 0)];
        assert!(!seen(&refused).is_hopeless(&refused[0], 10));
        assert!(seen(&refused).is_hopeless(&refused[1], 10));
        let mut answered = counts(30, 0, 30);
        answered.bytes_received = 1;
        assert!(!seen(&[answered]).is_hopeless(&answered, 10));
        // This side gave up on each: their certificate is not trusted.
        let counters = Counters::default();
        counters.established.add(30);
        counters.bytes_received.add(30 * 1500);
        counters.closed(Closed::ByUs, 29);
        let less = counters.read();
        assert!(!seen(&[less]).is_hopeless(&less, 10));
        counters.closed(Closed::ByUs, 1);
        let all = counters.read();
        assert!(seen(&[all]).is_hopeless(&all, 10));
        // One of them was fit for use, and what came counts.
        counters.ready.add(1);
        let one = counters.read();
        assert!(!seen(&[one]).is_hopeless(&one, 10));
    }
}
