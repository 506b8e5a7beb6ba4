//! What can be asked of MQTT.

use super::topic::{Filter, Text, Topic};
use crate::scenario::bounds;
use crate::units::UnitError;
use crate::units::written::{As, Maybe, Span, Written};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How often clients of other programs ping.
const USUAL_KEEP_ALIVE: Duration = Duration::from_secs(60);

/// A version of MQTT.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// MQTT 3.1.1.
    V3_1_1,
    /// MQTT 5.0.
    #[default]
    V5,
}

impl Written for Version {
    type Value = Version;
    const WHAT: &'static str = "a version of MQTT like 5 or 3.1.1";

    fn read(text: &str) -> Result<Version, UnitError> {
        match text {
            "3.1.1" | "3" => Ok(Version::V3_1_1),
            "5" | "5.0" => Ok(Version::V5),
            _ => Err(UnitError::OutOfBounds("write 5 or 3.1.1".into())),
        }
    }

    fn text(version: Version) -> String {
        match version {
            Version::V3_1_1 => "3.1.1".into(),
            Version::V5 => "5".into(),
        }
    }
}

/// What is asked of MQTT.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct MqttAsked {
    /// The version.
    #[serde(with = "As::<Version>")]
    pub version: Version,
    /// The client identifier; `None` for one of each connection's own.
    pub client_id: Option<Text>,
    /// The user name.
    pub username: Option<Text>,
    /// The password.
    pub password: Option<Text>,
    /// How often each connection sends a ping, which the server is told as its keep alive; zero for never.
    #[serde(with = "As::<Span>")]
    pub keep_alive: Duration,
    /// What each connection subscribes to.
    pub subscribe: Vec<Filter>,
    /// Where messages go.
    pub publish: Option<Topic>,
    /// Whether the server is to retain them.
    pub retain: bool,
    /// Whether messages have numbers, by which those that arrive are checked.
    pub numbered: bool,
    /// Whether the server is to continue the session of the client identifier.
    pub keep_session: bool,
    /// How long the server keeps a session after its connection (MQTT 5.0).
    #[serde(with = "Maybe::<bounds::Positive>")]
    pub session_expiry: Option<Duration>,
    /// Where the server publishes the will of a connection that ends without farewell.
    pub will: Option<Topic>,
    /// The will's payload; `None` for an empty one.
    pub will_message: Option<Text>,
    /// Whether the server is to retain it.
    pub will_retain: bool,
}

impl Default for MqttAsked {
    fn default() -> MqttAsked {
        MqttAsked {
            version: Version::default(),
            client_id: None,
            username: None,
            password: None,
            keep_alive: USUAL_KEEP_ALIVE,
            subscribe: Vec::new(),
            publish: None,
            retain: false,
            numbered: false,
            keep_session: false,
            session_expiry: None,
            will: None,
            will_message: None,
            will_retain: false,
        }
    }
}

impl MqttAsked {
    /// Whether MQTT 5.0 is spoken.
    pub(super) fn is_v5(&self) -> bool {
        self.version == Version::V5
    }
}
