//! What a sample is for, and what samples have in common.

use crate::human;
use crate::tune::wrapped;
use std::fmt::Write;
use throng_core::tune::{Ask, Kind, Now, Scope, Setting, settings};

/// Columns of a comment.
pub(super) const WIDTH: usize = 100;

/// What a sample is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The connections, and the role: `Both` is a proxy, which has two sockets for each.
    pub ask: Ask,
    /// Cores of the machine that the server runs on.
    pub cores: usize,
}

impl Sample {
    /// The connections of clients.
    pub(super) fn connections(&self) -> u64 {
        self.ask.connections.into()
    }

    /// The port that the server listens on.
    pub(super) fn port(&self) -> u16 {
        self.ask.ports.first().copied().unwrap_or(8080)
    }

    /// The settings for an unknown machine, without those that are on request and were not asked for.
    fn settings(&self) -> Vec<Setting> {
        let mut all = settings(&self.ask, &Now::unknown());
        all.retain(|s| s.with.is_none_or(|extra| self.ask.with.contains(&extra)));
        all
    }

    /// The value of a setting.
    fn wanted(&self, name: &str) -> Option<String> {
        let of_name = self.settings().into_iter().find(|s| s.name == name)?;
        Some(of_name.wanted)
    }

    /// The length of the accept queue.
    pub(super) fn backlog(&self) -> String {
        self.wanted("net.core.somaxconn")
            .unwrap_or_else(|| "4096".into())
    }

    /// The sysctls of this scope, by name and value.
    pub(super) fn sysctls(&self, scope: Scope) -> Vec<(String, String)> {
        let all = self.settings().into_iter();
        all.filter(|s| s.kind == Kind::Sysctl && s.scope == scope && !s.wanted.is_empty())
            .map(|s| (s.name, s.wanted))
            .collect()
    }
}

/// Comments, wrapped.
pub(super) fn comment(text: &str) -> String {
    wrapped(text, "# ", WIDTH)
}

/// Comments of the lines within a block of the configuration.
pub(super) fn comment_at(indent: &str, text: &str) -> String {
    wrapped(text, &format!("{indent}# "), WIDTH)
}

/// The first lines: what it is for, and how to check it.
pub(super) fn head(of: &str, sample: &Sample, check: &str) -> String {
    let purpose = format!(
        "{of} for {}, role {}: a sample with its arithmetic. Addresses and names are examples.",
        human::things(sample.connections(), "connection"),
        sample.ask.role.name()
    );
    comment(&purpose) + &format!("# Check: {check}\n")
}

/// The settings that such a configuration can't make, as comments.
pub(super) fn rest_of_system(sample: &Sample) -> String {
    let mut text = comment(&format!(
        "The system has to allow it, too: as root, throng tune --role {} -c {} --apply. For a machine of which nothing is \
         known:",
        sample.ask.role.name(),
        sample.ask.connections
    ));
    for (name, wanted) in [Scope::Namespace, Scope::Machine]
        .into_iter()
        .flat_map(|scope| sample.sysctls(scope))
    {
        let _ = writeln!(text, "#     {name} = {wanted}");
    }
    text
}
