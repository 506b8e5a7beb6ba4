//! This machine, in the form that the plan needs.

use crate::Failure;
use throng_core::host::{Host, Uring};
use throng_core::scenario::{LoadScenario, ProxyScenario, ServeScenario};
use throng_host::kernel::Kernel;
use throng_host::limits::raise_soft_to_hard;
use throng_host::memory::MemoryBounds;
use throng_host::survey::{Processes, Wanted, survey};

/// This machine, as read when the run begins.
#[derive(Clone, Debug)]
pub struct Machine {
    /// What it allows.
    pub host: Host,
    /// Its kernel and cores.
    pub kernel: Kernel,
    /// What bounds its memory: the machine, and the cgroups that this process is in.
    pub memory: MemoryBounds,
    /// Why this process's soft limit on open files could not be raised to the hard one. The soft limit is then what
    /// `host` has as both.
    pub files_stay: Option<String>,
}

impl Machine {
    /// Reads this machine for `scenario`, with the listeners among its targets. Raises this process's soft limit on open
    /// files to the hard one.
    ///
    /// # Errors
    /// The kernel does not say how much memory is available, or which release it is.
    pub fn for_load(scenario: &LoadScenario) -> Result<Machine, Failure> {
        Machine::read(&Wanted {
            targets: scenario.addresses(),
            sources: scenario.connect.sources().collect(),
            processes: Processes::OfTargets,
            skip_self: true,
            tracking: true,
            serving: Vec::new(),
            opening: Some(scenario.own_connections().into()),
        })
    }

    /// Reads this machine for the server of `scenario`, and raises the limit likewise.
    ///
    /// # Errors
    /// Those of [`Machine::for_load`].
    pub fn for_serve(scenario: &ServeScenario) -> Result<Machine, Failure> {
        Machine::read(&Wanted {
            tracking: true,
            serving: scenario.addresses().map(|at| at.port()).collect(),
            opening: Some(0),
            ..Wanted::default()
        })
    }

    /// Reads this machine for the proxy of `scenario`, with the listeners among its backends, and raises the limit likewise.
    ///
    /// # Errors
    /// Those of [`Machine::for_load`].
    pub fn for_proxy(scenario: &ProxyScenario) -> Result<Machine, Failure> {
        Machine::read(&Wanted {
            targets: scenario.backends(),
            sources: scenario.sources().collect(),
            processes: Processes::OfTargets,
            tracking: true,
            serving: scenario.listen.iter().map(|at| at.0.port()).collect(),
            ..Wanted::default()
        })
    }

    fn read(wanted: &Wanted) -> Result<Machine, Failure> {
        let fault = |e: std::io::Error| Failure::fault(e.to_string());
        let memory = MemoryBounds::locate();
        // Without these no run can be planned or bounded.
        memory.available().map_err(fault)?;
        let kernel = Kernel::read().map_err(fault)?;
        let mut host = host(wanted);
        // A run needs all files that it may have, and that harms none.
        let files_stay = raise_soft_to_hard().err().map(|e| e.to_string());
        if files_stay.is_some() {
            host.files.hard = host.files.soft;
        }
        Ok(Machine {
            host,
            kernel,
            memory,
            files_stay,
        })
    }
}

/// What this machine allows, io_uring included.
pub fn host(wanted: &Wanted) -> Host {
    let uring = throng_engine::probe();
    Host {
        uring: Uring {
            unusable: uring.unusable,
            binds: uring.binds,
        },
        ..survey(wanted)
    }
}
