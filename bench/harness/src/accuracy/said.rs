//! The parts of throng's summary that accuracy is measured by.

use crate::finding::Finding;
use serde::Deserialize;

/// The summary's fields that are read here.
#[derive(Clone, Debug, Deserialize)]
pub struct Said {
    /// What fell short or was found, a line each.
    pub findings: Vec<Finding>,
    /// The message rate while all were up.
    pub message_rate: Option<MessageRate>,
    /// What was transferred while all connections were established.
    pub steady: Option<Steady>,
    /// What a search found.
    pub search: Option<Found>,
    /// How long it took, closing not included.
    pub seconds: f64,
    /// What it cost.
    pub cost: Cost,
}

/// How well the rate was kept.
#[derive(Clone, Debug, Deserialize)]
pub struct MessageRate {
    /// Messages sent per second.
    pub reached_per_s: f64,
    /// The window.
    pub seconds: f64,
    /// From when a message was due to when the kernel had taken it.
    pub lateness: Option<Late>,
    /// Processor time of both ends per message.
    pub cpu_us_per_message: Option<f64>,
}

/// Percentiles of lateness.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Late {
    /// The median.
    pub p50_us: f64,
    /// 99 % were no later.
    pub p99_us: f64,
    /// The latest.
    pub max_us: f64,
}

/// While all were up.
#[derive(Clone, Debug, Deserialize)]
pub struct Steady {
    /// How long that was.
    pub seconds: f64,
    /// Of the connections that were opened.
    pub traffic: Bytes,
}

/// Bytes of one side.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Bytes {
    /// Bytes that the kernel accepted.
    pub bytes_sent: u64,
    /// Bytes that were read.
    pub bytes_received: u64,
}

/// What a search for a rate found.
#[derive(Clone, Debug, Deserialize)]
pub struct Found {
    /// How it ended.
    pub ending: String,
    /// The highest rate that held, over all connections.
    pub held_per_s: Option<f64>,
    /// The lowest that broke.
    pub broke_per_s: Option<f64>,
    /// Measurements.
    pub trials: u32,
    /// From 0 to 1.
    pub confidence: f64,
}

/// What a run cost.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Cost {
    /// Resident memory of the process, both ends with `--self`.
    pub user_bytes_per_connection: Option<f64>,
}

impl Said {
    /// Reads what throng printed.
    ///
    /// # Errors
    /// It is not a summary; one line for the user.
    pub fn read(stdout: &str) -> Result<Said, String> {
        serde_json::from_str(stdout.trim())
            .map_err(|e| format!("throng's JSON is not what was expected: {e}"))
    }

    /// The message rate.
    ///
    /// # Errors
    /// It has none; the first finding says why.
    pub fn rate(&self) -> Result<&MessageRate, String> {
        self.message_rate
            .as_ref()
            .ok_or_else(|| self.complaint("sent no message"))
    }

    /// Bytes per second that the connecting side sent and received while all connections were established.
    ///
    /// # Errors
    /// They were never all established.
    pub fn bytes_per_s(&self) -> Result<(f64, f64), String> {
        let steady = self
            .steady
            .as_ref()
            .filter(|s| s.seconds > 0.0)
            .ok_or_else(|| self.complaint("never had all connections"))?;
        Ok((
            steady.traffic.bytes_sent as f64 / steady.seconds,
            steady.traffic.bytes_received as f64 / steady.seconds,
        ))
    }

    fn complaint(&self, otherwise: &str) -> String {
        self.findings
            .first()
            .map(|finding| finding.text().to_owned())
            .unwrap_or_else(|| format!("throng {otherwise}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_read_and_a_run_without_messages_says_why() {
        let said = Said::read(
            r#"{"reached":false,"findings":["nobody listens"],"message_rate":null,"seconds":2.5,
                "search":null,"steady":{"seconds":2.0,"opened":1,"accepted":0,"accepted_traffic":null,
                  "traffic":{"messages_sent":1,"bytes_sent":300,"bytes_received":50}},
                "cost":{"user_bytes":1,"user_bytes_per_connection":null}}"#,
        )
        .unwrap();
        assert_eq!(said.rate().unwrap_err(), "nobody listens");
        assert_eq!(said.bytes_per_s(), Ok((150.0, 25.0)));
        assert!(Said::read("{}").is_err());
    }
}
