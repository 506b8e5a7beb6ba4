//! What the plan needs to know of this machine.

use crate::Failure;
use throng_core::host::DEFAULT_SOMAXCONN;
use throng_core::plan::HostFacts;
use throng_host::kernel::Kernel;
use throng_host::memory::MemoryBounds;
use throng_host::survey::{Wanted, survey};

/// This machine, as read when the run begins.
pub(crate) struct Machine {
    pub facts: HostFacts,
    pub kernel: Kernel,
    pub memory: MemoryBounds,
}

impl Machine {
    /// Reads it. What is only a bound and can't be read is taken to be Linux's default.
    pub fn read() -> Result<Machine, Failure> {
        let fault = |e: std::io::Error| Failure::fault(e.to_string());
        let kernel = Kernel::read().map_err(fault)?;
        let host = survey(&Wanted::default());
        let uring = throng_engine::probe();
        let facts = HostFacts {
            cores: host.cores,
            ephemeral_ports: host.ports.usable(),
            file_limit: host.files.hard,
            files_open: host.files.open,
            memory_available: host.memory.left(),
            memory_total: host.memory.total,
            somaxconn: host.accept.somaxconn.unwrap_or(DEFAULT_SOMAXCONN),
            uring_unusable: uring.unusable,
            uring_binds: uring.binds,
        };
        Ok(Machine {
            facts,
            kernel,
            memory: MemoryBounds::locate(),
        })
    }
}
