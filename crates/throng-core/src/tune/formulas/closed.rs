//! What connections still occupy after they were closed.

use super::lister::{Lister, status};
use crate::tune::setting::{Extra, Kind, Rule, Scope, Setting, Status};
use crate::tune::sysctls::{FIN_TIMEOUT, ORPHANS, TW_BUCKETS};

/// Seconds to wait for the peer's FIN after ours, when asked to shorten that. A quarter of the kernel's;
/// four lost segments are still made good (RFC 6298: 1 + 2 + 4 + 8 s).
const FIN_TIMEOUT_S: u64 = 15;

impl Lister<'_> {
    pub fn tw_buckets(&self) -> Setting {
        self.number(
            TW_BUCKETS,
            Scope::Namespace,
            self.n(),
            "The end that closes first keeps the connection in TIME_WAIT for a minute. Beyond this many the kernel \
             skips that, and a late segment may reach a new connection.",
            "Some 256 bytes each while they wait.",
        )
    }

    pub fn fin_timeout(&self) -> Setting {
        let mut now = self.now.sysctl(FIN_TIMEOUT);
        let mut wanted = FIN_TIMEOUT_S;
        let status = status(&mut now, |text| {
            let seconds = text.trim().parse().ok()?;
            wanted = wanted.min(seconds);
            Some(match seconds <= FIN_TIMEOUT_S {
                true => Status::Enough,
                false => self.requested(Extra::FinTimeout),
            })
        });
        Setting {
            name: FIN_TIMEOUT.into(),
            kind: Kind::Sysctl,
            scope: Scope::Namespace,
            rule: Rule::AtMost,
            now,
            wanted: wanted.to_string(),
            status,
            why: "Seconds that a closed connection waits for its peer to close, too (FIN_WAIT_2), and keeps its port. It \
                  does not shorten TIME_WAIT, which is always a minute."
                .into(),
            risk: "The one setting that is lowered: a peer that takes longer to close gets a reset.".into(),
            with: Some(Extra::FinTimeout),
        }
    }

    pub fn orphans(&self) -> Setting {
        self.number(
            ORPHANS,
            Scope::Machine,
            self.ask.ends(),
            "Connections that this machine has closed and whose end the peer has not confirmed yet. When all are \
             closed at once, those beyond this number are reset.",
            "Each may hold up to 64 KB of unsent data in memory that can't be swapped.",
        )
    }
}
