//! The system under test, watched while a run loads it (`--watch`).

use super::output::Output;
use crate::Failure;
use crate::cli::METRICS;
use clap::Args;
use throng_host::watched::Subject;

/// What is watched.
#[derive(Clone, Default, Args)]
pub(crate) struct Watch {
    /// Report what a process and its children, a unit of systemd, a cgroup or a container on this machine spends during the run:
    /// memory per connection, CPU, descriptors, accept queues (`throng help watch`)
    #[arg(long, value_name = "PID|UNIT|CONTAINER", help_heading = METRICS)]
    watch: Option<String>,
}

impl Output for Watch {
    fn only_here(&self) -> Option<&'static str> {
        self.watch.is_some().then_some("--watch")
    }

    fn watches(&self) -> Result<Option<Subject>, Failure> {
        let Some(text) = &self.watch else {
            return Ok(None);
        };
        let found = Subject::find(text).map_err(|e| Failure::usage(format!("--watch: {e}")))?;
        Ok(Some(found))
    }
}
