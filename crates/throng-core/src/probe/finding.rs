//! What a probe found that is worth knowing: a kind for scripts, a sentence for people, and what to do about it.

use serde::Serialize;

/// A finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is about.
    pub kind: Kind,
    /// How much it matters.
    pub weight: Weight,
    /// A sentence for people.
    pub text: String,
    /// What to do about it; a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    /// Neutral.
    Note,
    /// Something in between changes or bounds what passes.
    Warning,
    /// Something was not measured, or does not get through.
    Failure,
}

/// What a finding is about. Scripts can rely on the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The far end could not be reached, or does not speak as one.
    NoFarEnd,
    /// The two ends are joined as they are: nothing that a probe notices is in between.
    Direct,
    /// The source address or port is translated.
    SourceTranslated,
    /// The target address or port is translated.
    TargetTranslated,
    /// Connections end in between, and others begin there.
    Terminated,
    /// It could not be found out whether connections end in between.
    TerminationUnknown,
    /// The MSS was lowered in between.
    SegmentLowered,
    /// An option of TCP does not survive.
    OptionRemoved,
    /// Windows are scaled differently than announced.
    ScaleChanged,
    /// ECN was not tested, because this host does not ask for it.
    EcnNotAsked,
    /// The far end's kernel used SYN cookies.
    SynCookies,
    /// Large segments vanish.
    BlackHole,
    /// Payloads do not get through, large or small.
    NothingArrives,
    /// Silent connections are forgotten after a time.
    IdleTimeout,
    /// Silent connections lived as long as was tried.
    NoIdleTimeout,
    /// What happens to a connection at its timeout.
    AtExpiry,
    /// Whether TCP keepalives renew a connection.
    Keepalive,
    /// Connections fail whatever their silence.
    Unsteady,
    /// The number of flows that fit.
    TableFull,
    /// As many flows as were tried fit.
    TableNotFull,
    /// What gives way when the table is full.
    Eviction,
    /// This host ended the measurement, not the path.
    OwnLimit,
    /// The far end ended the measurement, not the path.
    FarLimit,
    /// The rate of new flows beyond which some are lost.
    FlowRate,
    /// Which ports the far end sees.
    Ports,
    /// How flows are spread over servers.
    Spread,
    /// The probe was interrupted.
    Interrupted,
}

impl Finding {
    /// A neutral finding.
    pub fn note(kind: Kind, text: impl Into<String>) -> Finding {
        Finding::new(kind, Weight::Note, text)
    }

    /// Something in between changes or bounds what passes.
    pub fn warning(kind: Kind, text: impl Into<String>) -> Finding {
        Finding::new(kind, Weight::Warning, text)
    }

    /// Something was not measured, or does not get through.
    pub fn failure(kind: Kind, text: impl Into<String>) -> Finding {
        Finding::new(kind, Weight::Failure, text)
    }

    fn new(kind: Kind, weight: Weight, text: impl Into<String>) -> Finding {
        Finding {
            kind,
            weight,
            text: text.into(),
            remedy: None,
        }
    }

    /// The same, with what to do about it.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Finding {
        self.remedy = Some(remedy.into());
        self
    }
}
