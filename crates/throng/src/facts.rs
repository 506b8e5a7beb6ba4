//! This machine, as the plan wants it.

use crate::Failure;
use std::net::SocketAddr;
use throng_core::host::{Accept, CgroupMemory, Files, Host, Memory, Ports, Unread, Uring};
use throng_host::kernel::Kernel;
use throng_host::limits::{FileLimits, SystemFiles, nr_open};
use throng_host::listen::Backlogs;
use throng_host::memory::{BoundBy, MemInfo, MemoryBounds};
use throng_host::ports::EphemeralPorts;

/// This machine, as read when the run begins.
pub(crate) struct Machine {
    pub host: Host,
    pub kernel: Kernel,
    pub memory: MemoryBounds,
}

impl Machine {
    /// Reads it, with what there is to know about `targets`.
    pub fn read(targets: &[SocketAddr]) -> Result<Machine, Failure> {
        let fault = |e: std::io::Error| Failure::fault(e.to_string());
        let kernel = Kernel::read().map_err(fault)?;
        let memory = MemoryBounds::locate();
        let host = survey(targets, &kernel, &memory).map_err(fault)?;
        Ok(Machine {
            host,
            kernel,
            memory,
        })
    }
}

/// What throng-host can read so far.
fn survey(
    _targets: &[SocketAddr],
    kernel: &Kernel,
    memory: &MemoryBounds,
) -> std::io::Result<Host> {
    let mut unread = Vec::new();
    let mut missing = |what: &str, why: std::io::Error| {
        unread.push(Unread {
            what: what.into(),
            why: why.to_string(),
        });
    };
    let files = FileLimits::read()?;
    let system = SystemFiles::read()
        .map_err(|e| missing("fs.file-nr", e))
        .ok();
    let ports = EphemeralPorts::read()
        .map_err(|e| missing("net.ipv4.ip_local_port_range", e))
        .ok();
    let backlogs = Backlogs::read()
        .map_err(|e| missing("net.core.somaxconn", e))
        .ok();
    let available = memory.available()?;
    let info = MemInfo::read()?;
    let uring = throng_engine::probe();
    Ok(Host {
        name: Some(kernel.hostname.clone()),
        kernel: kernel.release.clone(),
        cores: kernel.cores as u32,
        ports: Ports {
            range: ports.as_ref().map(|p| (p.low, p.high)),
            reserved: ports
                .iter()
                .flat_map(|p| p.reserved.iter().map(|r| (*r.start(), *r.end())))
                .collect(),
            ..Ports::default()
        },
        files: Files {
            soft: files.soft,
            hard: files.hard,
            // Less the one that is open to count them.
            open: std::fs::read_dir("/proc/self/fd").map_or(3, |d| d.count() as u64 - 1),
            nr_open: nr_open().ok(),
            file_max: system.map(|s| s.max),
            file_nr: system.map(|s| s.allocated),
        },
        memory: Memory {
            total: info.total_bytes,
            available: info.available_bytes,
            cgroup: match available.bound_by {
                BoundBy::Machine => None,
                BoundBy::Cgroup(path) => Some(CgroupMemory {
                    path: path.display().to_string(),
                    version: 2,
                    limit: None,
                    available: available.bytes,
                }),
            },
            page: 4096,
            objects: None,
        },
        accept: Accept {
            somaxconn: backlogs.map(|b| b.somaxconn),
            syn_backlog: backlogs.map(|b| b.tcp_max_syn_backlog),
            ..Accept::default()
        },
        uring: Uring {
            unusable: uring.unusable,
            binds: uring.binds,
        },
        unread,
        ..Host::default()
    })
}
