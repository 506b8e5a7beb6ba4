//! Why a run got no further, as it is reported.

use crate::capacity::LimitKind;
use crate::stats::FailCause;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A limit that the run met, as far as is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// Which.
    pub limit: LimitKind,
    /// The number of connections that it allows, if known.
    pub allows: Option<u64>,
    /// Whether an error code or a counter names it; otherwise the shape of the failure suggests it.
    pub certain: bool,
    /// What happened, in words.
    pub what: String,
    /// What lifts it.
    pub remedy: String,
}

impl Diagnosis {
    /// Whether it explains attempts that failed by `cause`, so that its remedy is the one to give.
    pub fn explains(&self, cause: FailCause) -> bool {
        match cause {
            FailCause::NoAddress => {
                matches!(self.limit, LimitKind::FourTuples | LimitKind::SourceAddress)
            }
            FailCause::FileLimit => self.limit == LimitKind::OpenFiles,
            FailCause::NoMemory => matches!(
                self.limit,
                LimitKind::TcpMemory | LimitKind::Memory | LimitKind::CgroupMemory
            ),
            FailCause::TimedOut => matches!(
                self.limit,
                LimitKind::TargetFiles
                    | LimitKind::AcceptQueue
                    | LimitKind::SynBacklog
                    | LimitKind::Conntrack
                    | LimitKind::NatPorts
                    | LimitKind::Path
                    | LimitKind::SourceAddress
            ),
            FailCause::Refused => self.limit == LimitKind::TargetProcess,
            FailCause::Unreachable => self.limit == LimitKind::SourceAddress,
            _ => false,
        }
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}. {}", self.what, self.remedy)
    }
}
