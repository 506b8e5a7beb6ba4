//! The latencies of MQTT.

use crate::protocol::latencies::latencies;

latencies! {
    /// The latencies of MQTT's opening handshake.
    pub struct MqttLatencies {
        suback: "SUBACK",
            "from when subscriptions were requested (SUBSCRIBE) to when the server granted them (SUBACK)",
            "add --subscribe FILTER, and --mqtt or an mqtt:// target";
        connack: "CONNACK",
            "from when a connection to MQTT was requested (CONNECT) to when the server accepted it (CONNACK)",
            "add --mqtt or an mqtt:// target";
    }
}
