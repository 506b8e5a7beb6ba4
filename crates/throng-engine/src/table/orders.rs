//! The run's orders to a worker: traffic on and off, farewell, leaving measurements, the end.

use super::conn::{Conn, STARTED, State};
use super::data::Table;
use crate::control::{DropOrder, Order};
use throng_core::behaviour::{Behaviour, Traffic};
impl<B: Behaviour> Table<B> {
    /// Takes new orders, then answers a collection. Returns whether the order to close was given.
    pub fn take_orders(&mut self) -> bool {
        // Read before the orders: an answer to a collection shows that all orders given before it were taken.
        let collection = self.control.collection();
        let orders = self.control.orders();
        if orders != self.orders {
            let now = self.clock.now();
            let before = self.orders;
            let new = |order| orders.has(order) && !before.has(order);
            if new(Order::StopTraffic) {
                self.set_traffic(Traffic::Off, now);
                self.started = None;
            } else if new(Order::StartTraffic) && !orders.has(Order::StopTraffic) {
                self.set_traffic(Traffic::On, self.control.traffic_began());
                self.started = Some(0);
            }
            if new(Order::Farewell) {
                self.leaving = Some(0);
            }
            self.orders = orders;
        }
        let most = self.control.most();
        if most != self.most {
            self.most = most;
            self.hold_at_most(most);
        }
        let (behaviour, waking) = (&mut self.behaviour, &mut self.waking);
        self.steered = self.control.steering(self.steered, |steer| {
            if behaviour.steer(steer) {
                *waking = Some(0);
            }
        });
        if self.opener.is_some() {
            let dropping = &mut self.dropping;
            let begin = |order: &DropOrder| dropping.push_back((*order, 0));
            self.drops = self.control.drops(self.drops, begin);
        }
        if collection != self.collection {
            self.collection = collection;
            self.leave_measured(collection);
        }
        orders.has(Order::Close)
    }

    /// The next connection on which to start traffic, after that was ordered.
    pub fn next_to_start(&mut self) -> Option<u32> {
        let at = self.started.as_mut()?;
        while (*at as usize) < self.conns.len() {
            let index = *at;
            *at += 1;
            let conn = &self.conns[index as usize];
            if conn.state == State::Open && conn.marks & STARTED == 0 {
                return Some(index);
            }
        }
        self.started = None;
        None
    }

    /// The next connection to wake, after the times at which connections are to be woken have changed.
    pub fn next_to_wake(&mut self) -> Option<u32> {
        next_open(&mut self.waking, &self.conns)
    }

    /// The next connection to drop, and whether to reset it, after that was ordered. It is to be closed at once, as
    /// [closed by this side](throng_core::stats::Closed::ByUs).
    pub fn next_to_drop(&mut self) -> Option<(u32, bool)> {
        loop {
            let (order, from) = self.dropping.front_mut()?;
            let opener = self.opener.as_mut()?;
            if *from == 0
                && let Some(policy) = order.policy
            {
                opener.follow(policy);
            }
            let rest = self.conns.iter().enumerate().skip(*from as usize);
            let picked = |index: u32| {
                let number = u64::from(opener.id(index)) + u64::from(order.shift);
                order.share.picks(number)
            };
            let mut open = rest.filter(|(_, conn)| conn.state == State::Open);
            let next = open.find(|(index, _)| picked(*index as u32));
            if let Some((index, _)) = next {
                let index = index as u32;
                *from = index + 1;
                self.dropped = Some(index);
                return Some((index, order.reset));
            }
            self.dropping.pop_front();
        }
    }

    /// Takes the number of connections that all workers together are to hold.
    fn hold_at_most(&mut self, most: u32) {
        let Some(opener) = &mut self.opener else {
            return;
        };
        let (wanted, dropped) = opener.hold_at_most(most);
        for index in dropped {
            self.conns[index as usize].state = State::Free;
        }
        // The others are open still, or their timers have them opened again.
        for index in wanted {
            let conn = &mut self.conns[index as usize];
            if conn.state == State::Free {
                conn.state = State::Waiting;
                opener.open_again(index);
            }
        }
        self.shedding = Some(opener.count());
    }

    /// The next connection to close, of those that are open beyond the number to hold.
    pub fn next_to_shed(&mut self) -> Option<u32> {
        let opener = self.opener.as_ref()?;
        loop {
            let index = next_open(&mut self.shedding, &self.conns)?;
            if !opener.wants(index) {
                return Some(index);
            }
        }
    }

    /// The next connection on which to say farewell, after that was ordered.
    pub fn next_to_leave(&mut self) -> Option<u32> {
        next_open(&mut self.leaving, &self.conns)
    }

    /// Ends the table's work.
    pub fn done(mut self) {
        self.leave_measured(u32::MAX);
    }

    /// Leaves the measurements since the last time in the outlet.
    fn leave_measured(&mut self, collection: u32) {
        let mut measured = self.behaviour.take_measured();
        measured
            .connect
            .absorb(std::mem::take(&mut self.connect_times));
        measured.merge(std::mem::take(&mut self.losses));
        self.outlet.put(collection, measured);
    }
}

/// The next open connection of a walk over all of them, which ends with the last one.
fn next_open<C>(walk: &mut Option<u32>, conns: &[Conn<C>]) -> Option<u32> {
    let from = (*walk)?;
    let rest = conns.get(from as usize..).unwrap_or_default();
    let next = rest.iter().position(|conn| conn.state == State::Open);
    let next = next.map(|n| from + n as u32);
    *walk = next.map(|index| index + 1);
    next
}
