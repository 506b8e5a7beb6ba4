//! MQTT 3.1.1 and 5.0 (OASIS), for either side, without I/O.
//!
//! - [`decoder`]: received bytes as packets, of which messages are passed on as they arrive
//! - [`packet`]: what is in the other packets
//! - [`Topic`], [`Filter`], [`Text`]: what users write
//! - [`MqttClient`]: carries a load's messages
//! - [`MqttServer`]: a behaviour that acknowledges everything

mod ask;
mod asked;
mod build;
pub mod counts;
pub mod decoder;
mod deliveries;
mod latencies;
pub mod packet;
mod reason;
mod serve;
mod summary;
mod topic;
mod violation;
mod wire;

pub use asked::{MqttAsked, Version};
pub use counts::Qos;
pub use deliveries::{Deliveries, Numbered, NumberedConn, Published};
pub use latencies::MqttLatencies;
pub use reason::{OfAck, OfConnack, OfDisconnect, OfSuback, Reason};
pub use serve::{Mqtt, MqttServer, ServedConn};
pub use summary::{DeliveriesSummary, MqttSummary};
pub use topic::{Filter, Text, TextError, Topic};
pub use violation::Violation;
pub use wire::{MqttClient, MqttConn, Rules};
