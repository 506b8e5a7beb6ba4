//! What stands between a client and a server: NAT, firewalls, load balancers, proxies. Two ends of throng talk in lines
//! ([`Request`], [`Answer`]); what the far end does is [`Far`], without I/O. What the near end saw becomes a result:
//! [`path`] compares both ends of connections, [`idle`] finds the timeout of silent ones, [`table`] how many
//! there may be, [`rate`] how many new ones per second.

mod far;
mod fields;
mod finding;
mod host_facts;
pub mod idle;
mod line;
pub mod path;
mod probed;
pub mod rate;
mod spread;
pub mod table;
mod tcp_info;
mod wire;

pub use far::{Far, Look, Outbox};
pub use finding::{Finding, Kind, Weight};
pub use host_facts::HostFacts;
pub use line::Lines;
pub use probed::{Outcome, Probed, VERSION};
pub use spread::{How, Spread};
pub use tcp_info::TcpInfo;
pub use wire::{Answer, End, Fate, Greeting, LONGEST_LINE, Name, Request, State};
