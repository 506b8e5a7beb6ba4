//! What the plan needs to know of this machine.

use crate::Failure;
use throng_core::plan::HostFacts;
use throng_host::kernel::Kernel;
use throng_host::limits::FileLimits;
use throng_host::listen::Backlogs;
use throng_host::memory::{MemInfo, MemoryBounds};
use throng_host::ports::EphemeralPorts;

/// This machine, as read when the run begins.
pub(crate) struct Machine {
    pub facts: HostFacts,
    pub kernel: Kernel,
    pub memory: MemoryBounds,
}

/// Linux's defaults, for what a container hides: they bound a plan, they don't make it wrong.
const DEFAULT_PORTS: u32 = 28_232;
const DEFAULT_SOMAXCONN: u32 = 4096;

impl Machine {
    /// Reads it. What is only a bound and can't be read is taken to be Linux's default.
    pub fn read() -> Result<Machine, Failure> {
        let fault = |e: std::io::Error| Failure::fault(e.to_string());
        let kernel = Kernel::read().map_err(fault)?;
        let memory = MemoryBounds::locate();
        let files = FileLimits::read().map_err(fault)?;
        let uring = throng_engine::probe();
        let facts = HostFacts {
            cores: kernel.cores as u32,
            ephemeral_ports: EphemeralPorts::read().map_or(DEFAULT_PORTS, |p| p.usable()),
            file_limit: files.hard,
            files_open: std::fs::read_dir("/proc/self/fd").map_or(16, |d| d.count() as u64),
            memory_available: memory.available().map_err(fault)?.bytes,
            memory_total: MemInfo::read().map_err(fault)?.total_bytes,
            somaxconn: Backlogs::read().map_or(DEFAULT_SOMAXCONN, |b| b.somaxconn),
            uring_unusable: uring.unusable,
            uring_binds: uring.binds,
        };
        Ok(Machine {
            facts,
            kernel,
            memory,
        })
    }
}
