//! The table itself: its fields, and what all parts of it use.

use super::conn::{Conn, Early};
use super::legs::Pairs;
use super::opener::Opener;
use super::places::Places;
use super::ports::Parts;
use super::room::Room;
use crate::control::{Clock, Control, DropOrder, Order, Orders, Outlet};
use crate::job::{Closing, Job, Role, ServerRole};
use crate::socket::{Listener, Making};
use crate::waiting::Waiting;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use throng_core::behaviour::{At, Behaviour, Reads, Traffic};
use throng_core::stats::{Counters, Durations, Measured};
use throng_core::time::Time;
use throng_core::wheel::Wheel;
pub(crate) struct Table<B: Behaviour> {
    pub behaviour: B,
    pub conns: Vec<Conn<B::Conn>>,
    pub counters: Arc<Counters>,
    pub clock: Clock,
    pub wheel: Wheel,
    pub listeners: Vec<Arc<Listener>>,
    pub(super) control: Arc<Control>,
    pub(super) orders: Orders,
    pub(super) traffic: Traffic,
    pub(super) opener: Option<Opener>,
    /// What waits until their connections are established, of those that send before.
    pub(super) early: HashMap<u32, Early>,
    /// Whether connections are those of Unix sockets.
    pub(super) unix: bool,
    /// Client: connections that wait for room in the queue of a Unix socket.
    pub(super) room: Room,
    pub(super) others: Vec<Arc<Counters>>,
    pub(super) max: u32,
    /// Server: the free places; where connections come in pairs, one for each pair.
    pub(super) places: Places,
    /// Where connections come in pairs: what is known of each pair.
    pub(super) pairs: Pairs,
    /// The parts of the local ports that sockets choose from in turn; none if each chooses from all.
    pub(super) parts: Parts,
    pub(super) closing: Closing,
    pub(super) reads: Reads,
    pub making: Making,
    pub(super) connect_times: Durations,
    /// The ages of connections that ended.
    pub(super) losses: Measured,
    pub(super) outlet: Arc<Outlet>,
    /// The last collection that this worker answered.
    pub(super) collection: u32,
    /// The number of changes of the rate that were applied.
    pub(super) steered: u32,
    /// The number of orders to drop connections that were taken.
    pub(super) drops: u32,
    /// Those that are not carried out yet, each with its progress.
    pub(super) dropping: VecDeque<(DropOrder, u32)>,
    /// The connection that is closed because it is to be dropped.
    pub(super) dropped: Option<u32>,
    /// Whether timers are due that have not fired.
    pub(super) behind: bool,
    /// The connection that had the last turn, and the number of turns that were passed on.
    pub(super) turn: u32,
    pub(super) passed: u32,
    /// The number of turns because of arrivals.
    pub(super) arrived: u32,
    pub(super) waiting: Waiting,
    /// The progress of starting traffic on all connections, once it was ordered.
    pub(super) started: Option<u32>,
    /// The progress of waking all connections, once the times at which they are to be woken have changed.
    pub(super) waking: Option<u32>,
    /// The progress of saying farewell on all connections, once it was ordered.
    pub(super) leaving: Option<u32>,
    /// The most connections that all workers together hold, as last ordered.
    pub(super) most: u32,
    /// The progress of closing the connections beyond that.
    pub(super) shedding: Option<u32>,
}

impl<B: Behaviour> Table<B> {
    /// A table for `job`, whose connections do what `behaviour` says.
    pub fn new(job: Job, behaviour: B) -> Table<B> {
        let mut table = Table {
            reads: behaviour.reads(),
            making: Making::new(&job.options),
            behaviour,
            conns: Vec::new(),
            counters: job.counters,
            clock: job.clock,
            wheel: Wheel::new(),
            listeners: Vec::new(),
            control: job.control,
            orders: Orders::default(),
            traffic: job.traffic,
            opener: None,
            early: HashMap::new(),
            unix: false,
            room: Room::default(),
            others: Vec::new(),
            max: 0,
            places: Places::default(),
            pairs: Pairs::default(),
            parts: Parts::default(),
            closing: job.closing,
            connect_times: Durations::default(),
            losses: Measured::default(),
            outlet: job.outlet,
            collection: 0,
            steered: 0,
            drops: 0,
            dropping: VecDeque::new(),
            dropped: None,
            behind: false,
            turn: 0,
            passed: 0,
            arrived: 0,
            waiting: Waiting::new(),
            started: None,
            waking: None,
            leaving: None,
            most: u32::MAX,
            shedding: None,
        };
        table.set_traffic(job.traffic, table.clock.now());
        match job.role {
            Role::Server(ServerRole {
                listeners,
                max,
                others,
                partners,
            }) => {
                let ends = if B::PAIRS { 2 } else { 1 };
                table.unix = listeners.iter().any(|l| matches!(**l, Listener::Unix(_)));
                (table.listeners, table.max, table.others) = (listeners, ends * max, others);
                table.places = Places::new(max);
                let asks_who = table.behaviour.asks_who();
                let ports = partners.as_ref().and_then(|partners| partners.ports);
                table.parts = ports.map(Parts::of).unwrap_or_default();
                let pairs = partners.map(|partners| Pairs::new(partners, asks_who));
                table.pairs = pairs.unwrap_or_default();
            }
            Role::Client(client) => {
                table.max = client.count;
                table.unix = !client.routes.unix().is_empty();
                table.parts = client.ports.map(Parts::of).unwrap_or_default();
                table.opener = Some(Opener::new(client));
            }
        }
        table
    }

    /// The maximum number of connections.
    pub fn max(&self) -> u32 {
        self.max
    }

    /// How connections are read from.
    pub fn reads(&self) -> Reads {
        self.reads
    }

    /// How to close the connections that are open at the end.
    pub fn closing(&self) -> Closing {
        self.closing
    }

    /// Calls connection `index`'s behaviour.
    #[inline]
    pub(super) fn tell(
        &mut self,
        index: u32,
        now: Time,
        what: impl FnOnce(&mut B, &mut B::Conn, &At),
    ) {
        let id = match &self.opener {
            Some(o) => o.id(index),
            None => index,
        };
        let at = At {
            id,
            now,
            up_us: self.conns[index as usize].up_us,
            counters: &self.counters,
        };
        what(
            &mut self.behaviour,
            &mut self.conns[index as usize].user,
            &at,
        );
    }

    /// The same, with what the behaviour counts in `counters`.
    pub(super) fn tell_counting(
        &mut self,
        index: u32,
        now: Time,
        counters: &Counters,
        what: impl FnOnce(&mut B, &mut B::Conn, &At),
    ) {
        let conn = &mut self.conns[index as usize];
        let at = At {
            id: self.opener.as_ref().map_or(index, |o| o.id(index)),
            now,
            up_us: conn.up_us,
            counters,
        };
        what(&mut self.behaviour, &mut conn.user, &at);
    }

    pub(super) fn set_traffic(&mut self, traffic: Traffic, now: Time) {
        self.traffic = traffic;
        self.behaviour.traffic(traffic, now);
    }

    /// Whether no more connections are to be opened or accepted, for the moment or for good.
    pub fn stopped_opening(&self) -> bool {
        let stop: &[Order] = match self.opener {
            Some(_) => &[Order::StopOpening, Order::PauseOpening],
            None => &[Order::StopAccepting],
        };
        stop.iter()
            .chain(&[Order::Farewell, Order::Close])
            .any(|order| self.orders.has(*order))
    }
}
