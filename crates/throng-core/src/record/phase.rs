//! The phases of a run.

use serde::{Deserialize, Serialize};

/// What a run is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Connections are being opened.
    Opening,
    /// All connections that could be opened are established, and held.
    Holding,
    /// No new message is begun; messages under way arrive.
    Draining,
    /// Connections are being closed.
    Closing,
    /// A server: it accepts until it is stopped.
    Serving,
}

impl Phase {
    /// Every phase, in the order of a run.
    pub const ALL: [Phase; 5] = [
        Phase::Opening,
        Phase::Holding,
        Phase::Draining,
        Phase::Closing,
        Phase::Serving,
    ];

    /// The name in the JSON form and in logs.
    pub const fn name(self) -> &'static str {
        match self {
            Phase::Opening => "opening",
            Phase::Holding => "holding",
            Phase::Draining => "draining",
            Phase::Closing => "closing",
            Phase::Serving => "serving",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_is_written_by_its_name() {
        for phase in Phase::ALL {
            assert_eq!(serde_json::to_value(phase).unwrap(), phase.name());
        }
    }
}
