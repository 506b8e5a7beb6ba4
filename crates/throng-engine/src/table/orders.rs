//! The run's orders to a worker: traffic on and off, farewell, leaving measurements, the end.

use super::conn::{Conn, STARTED, State};
use super::data::Table;
use crate::control::Order;
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
        let (behaviour, waking) = (&mut self.behaviour, &mut self.waking);
        self.steered = self.control.steering(self.steered, |steer| {
            if behaviour.steer(steer) {
                *waking = Some(0);
            }
        });
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
