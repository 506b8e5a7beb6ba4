//! The limit on processes and threads.

use throng_core::host::Tasks;

use crate::cgroup::own_cgroups;
use crate::reader::Reader;

/// Reads the limits of the machine, its PID namespace and this process's cgroups, and returns the lowest.
pub(crate) fn read(reader: &mut Reader) -> Tasks {
    let sysctl = |reader: &mut Reader, name: &str| {
        let max: Option<u64> = reader.number(format!("/proc/sys/kernel/{name}"));
        max.map(|max| (max, format!("kernel.{name}")))
    };
    let threads = sysctl(reader, "threads-max");
    let pids = sysctl(reader, "pid_max");
    let cgroups = own_cgroups("pids").into_iter().filter_map(|cgroup| {
        // The root cgroup has no such file. Others hold `max` without a limit.
        let max = cgroup.number("pids.max")?;
        Some((max, format!("pids.max of {}", cgroup.dir.display())))
    });
    let least = threads.into_iter().chain(pids).chain(cgroups).min();
    let (max, bound_by) = least.unzip();
    Tasks { max, bound_by }
}
