//! This machine, as the plan wants it.

use crate::Failure;
use throng_core::host::{Host, Uring};
use throng_host::kernel::Kernel;
use throng_host::memory::MemoryBounds;
use throng_host::survey::{Wanted, survey};

/// This machine, as read when the run begins.
pub(crate) struct Machine {
    pub host: Host,
    pub kernel: Kernel,
    pub memory: MemoryBounds,
}

impl Machine {
    /// Reads it, with what is `wanted` beyond its limits.
    pub fn read(wanted: &Wanted) -> Result<Machine, Failure> {
        let fault = |e: std::io::Error| Failure::fault(e.to_string());
        let memory = MemoryBounds::locate();
        // Without these nothing can be planned, and no run can be bounded.
        memory.available().map_err(fault)?;
        let kernel = Kernel::read().map_err(fault)?;
        Ok(Machine {
            host: host(wanted),
            kernel,
            memory,
        })
    }
}

/// What this machine allows, io_uring included.
pub(crate) fn host(wanted: &Wanted) -> Host {
    let uring = throng_engine::probe();
    Host {
        uring: Uring {
            unusable: uring.unusable,
            binds: uring.binds,
        },
        ..survey(wanted)
    }
}
