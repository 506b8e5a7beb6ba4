//! The cgroups of this process, v1 and v2, with the memory and the CPU time that each allows.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use procfs_core::process::MountInfo;
use procfs_core::{FromRead, ProcessCGroups};

use crate::proc_text;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}

/// The memory that a cgroup allows, and what is left of it, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MemoryBound {
    pub(crate) limit: u64,
    pub(crate) available: u64,
}

/// A directory of a cgroup hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cgroup {
    version: Version,
    pub(crate) dir: PathBuf,
}

impl Cgroup {
    #[cfg(test)]
    pub(crate) fn v2(dir: impl Into<PathBuf>) -> Self {
        Self {
            version: Version::V2,
            dir: dir.into(),
        }
    }

    /// 1 or 2.
    pub(crate) fn version(&self) -> u8 {
        match self.version {
            Version::V1 => 1,
            Version::V2 => 2,
        }
    }

    /// The number in one of its files; `None` if there is no such file, or it holds no number (`max`).
    pub(crate) fn number(&self, file: &str) -> Option<u64> {
        proc_text::read_number(self.dir.join(file)).ok()
    }

    /// The CPU time that it allows, in cores; `None` if it has no quota.
    pub(crate) fn quota_cores(&self) -> Option<f64> {
        let (quota, period) = match self.version {
            Version::V1 => (
                self.number("cpu.cfs_quota_us")?,
                self.number("cpu.cfs_period_us")?,
            ),
            Version::V2 => {
                let text = proc_text::read(self.dir.join("cpu.max")).ok()?;
                let (quota, period) = text.trim().split_once(' ')?;
                (quota.parse().ok()?, period.parse().ok()?)
            }
        };
        (period > 0).then(|| quota as f64 / period as f64)
    }

    /// How long its quota has stopped it, a sum over cores.
    pub(crate) fn throttled(&self) -> Option<Duration> {
        let text = proc_text::read(self.dir.join("cpu.stat")).ok()?;
        match self.version {
            Version::V1 => parse_stat(&text, "throttled_time").map(Duration::from_nanos),
            Version::V2 => parse_stat(&text, "throttled_usec").map(Duration::from_micros),
        }
    }

    /// Its limit on memory; `None` if it has none.
    pub(crate) fn memory(&self) -> Option<MemoryBound> {
        let text = |name| proc_text::read(self.dir.join(name)).ok();
        let (limit, usage, prefix) = match self.version {
            Version::V1 => {
                let limit = parse_limit(&text("memory.limit_in_bytes")?);
                (limit?, "memory.usage_in_bytes", "total_")
            }
            Version::V2 => {
                // Above memory.high the kernel doesn't kill, but slows every allocation
                // down to a crawl: for a load generator that is the end of the run, too.
                let limits = ["memory.max", "memory.high"];
                let limit = limits
                    .iter()
                    .filter_map(|name| parse_limit(&text(name)?))
                    .min();
                (limit?, "memory.current", "")
            }
        };
        let usage = self.number(usage)?;
        // The kernel drops the page cache, including recently used pages, before it kills a process.
        let stat = text("memory.stat").unwrap_or_default();
        let cache = |list| parse_stat(&stat, &format!("{prefix}{list}_file")).unwrap_or(0);
        let used = usage.saturating_sub(cache("inactive") + cache("active"));
        Some(MemoryBound {
            limit,
            available: limit.saturating_sub(used),
        })
    }
}

/// A limit in bytes; `None` for `max` (v2) and for v1's "unlimited": `PAGE_COUNTER_MAX`, which is
/// `i64::MAX` rounded down to a page of any size.
fn parse_limit(text: &str) -> Option<u64> {
    let bytes: u64 = text.trim().parse().ok()?;
    (bytes < i64::MAX as u64 - (1 << 20)).then_some(bytes)
}

/// A line `name value` of memory.stat or cpu.stat.
fn parse_stat(text: &str, name: &str) -> Option<u64> {
    let value = |line: &str| {
        line.strip_prefix(name)?
            .strip_prefix(' ')?
            .trim()
            .parse()
            .ok()
    };
    text.lines().find_map(value)
}

/// This process's cgroups in the hierarchies that may have `controller`, with all visible ancestors.
pub(crate) fn own_cgroups(controller: &str) -> Vec<Cgroup> {
    let own = proc_text::read("/proc/self/cgroup").unwrap_or_default();
    let mounts = proc_text::read("/proc/self/mountinfo").unwrap_or_default();
    find_cgroups(controller, &own, &mounts)
}

/// The cgroups of process `pid` in the hierarchies that may have `controller`, with all visible ancestors.
pub(crate) fn cgroups_of(pid: u32, controller: &str) -> Vec<Cgroup> {
    let theirs = proc_text::read(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let mounts = proc_text::read("/proc/self/mountinfo").unwrap_or_default();
    find_cgroups(controller, &theirs, &mounts)
}

/// Where hierarchies of cgroups are mounted, those of v2 first.
pub(crate) fn mounts() -> Vec<PathBuf> {
    let text = proc_text::read("/proc/self/mountinfo").unwrap_or_default();
    let all = text
        .lines()
        .filter_map(|line| MountInfo::from_line(line).ok());
    let mut all: Vec<(bool, PathBuf)> = all
        .filter(|mount| ["cgroup", "cgroup2"].contains(&&*mount.fs_type))
        .map(|mount| {
            let top = unescape(&mount.mount_point.to_string_lossy());
            (mount.fs_type == "cgroup", PathBuf::from(top))
        })
        .collect();
    // A stable sort: v1's stay in their order.
    all.sort_by_key(|(v1, _)| *v1);
    all.into_iter().map(|(_, top)| top).collect()
}

/// The cgroups from the texts of `/proc/self/cgroup` and `mountinfo`. On a hybrid system, those of v1 and v2.
fn find_cgroups(controller: &str, own: &str, mountinfo: &str) -> Vec<Cgroup> {
    let Ok(ProcessCGroups(own)) = ProcessCGroups::from_read(own.as_bytes()) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for mount in mountinfo
        .lines()
        .filter_map(|line| MountInfo::from_line(line).ok())
    {
        let version = match mount.fs_type.as_str() {
            "cgroup" if mount.super_options.contains_key(controller) => Version::V1,
            "cgroup2" => Version::V2,
            _ => continue,
        };
        let path = own.iter().find(|cgroup| match version {
            Version::V1 => cgroup.controllers.iter().any(|name| name == controller),
            Version::V2 => cgroup.hierarchy == 0,
        });
        let Some(path) = path else { continue };
        let root = PathBuf::from(unescape(&mount.root));
        let top = PathBuf::from(unescape(&mount.mount_point.to_string_lossy()));
        let Some(below) = path_below(Path::new(&path.pathname), &root) else {
            continue;
        };
        let leaf = top.join(below);
        // Path::join("") leaves a trailing slash; components() drops it.
        let dirs = leaf.ancestors().take_while(|dir| dir.starts_with(&top));
        found.extend(dirs.map(|dir| Cgroup {
            version,
            dir: dir.components().collect(),
        }));
    }
    found
}

/// The path of a cgroup under a mount that shows the hierarchy from `root` on. `None` if it is not there, or unknown:
/// the kernel prints `/../x` for cgroups outside this process's cgroup namespace.
fn path_below<'a>(cgroup: &'a Path, root: &Path) -> Option<&'a Path> {
    let outside = |path: &Path| path.components().any(|part| part == Component::ParentDir);
    if outside(cgroup) || outside(root) {
        return None;
    }
    cgroup.strip_prefix(root).ok()
}

/// Decodes a path of mountinfo, which writes space, tab, newline and backslash as `\040` and so on. systemd's unit
/// names contain backslashes.
fn unescape(text: &str) -> String {
    [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (code, char)| {
        text.replace(code, char)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const V2_MOUNT: &str = "24 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
        30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
    const V1_MOUNT: &str = "\
        34 31 0:31 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset\n\
        35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
        41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
    const DOCKER_V1_MOUNT: &str = "751 747 0:30 /docker/ab12 /sys/fs/cgroup/memory \
        ro,nosuid master:15 - cgroup cgroup rw,memory\n";

    #[test]
    fn cgroups_are_found_from_the_leaf_up() {
        let outside = "30 23 0:26 /../.. /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        let escaped = "9 8 0:26 /a\\134x2d /my\\040cg rw - cgroup2 cgroup2 rw\n";
        for (what, own, mounts, expected) in [
            (
                "a login session under systemd, v2",
                "0::/user.slice/user-1000.slice/session-2.scope\n",
                V2_MOUNT,
                &[
                    "/sys/fs/cgroup/user.slice/user-1000.slice/session-2.scope",
                    "/sys/fs/cgroup/user.slice/user-1000.slice",
                    "/sys/fs/cgroup/user.slice",
                    "/sys/fs/cgroup",
                ][..],
            ),
            (
                "a container with a cgroup namespace, v2",
                "0::/\n",
                V2_MOUNT,
                &["/sys/fs/cgroup"],
            ),
            (
                "hybrid: v1 has the memory controller",
                "5:devices:/\n4:memory:/api/5e50\n1:name=systemd:/\n0::/\n",
                V1_MOUNT,
                &[
                    "/sys/fs/cgroup/memory/api/5e50",
                    "/sys/fs/cgroup/memory/api",
                    "/sys/fs/cgroup/memory",
                    "/sys/fs/cgroup/unified",
                ],
            ),
            (
                "Docker, v1: the mount shows the container's own cgroup",
                "4:cpu,memory:/docker/ab12\n",
                DOCKER_V1_MOUNT,
                &["/sys/fs/cgroup/memory"],
            ),
            (
                "a mount of somebody else's cgroup",
                "4:memory:/docker/cd34\n",
                DOCKER_V1_MOUNT,
                &[],
            ),
            ("moved out of our namespace", "0::/../x\n", V2_MOUNT, &[]),
            (
                "the host's hierarchy in a container",
                "0::/\n",
                outside,
                &[],
            ),
            (
                "escapes",
                "0::/a\\x2d/b\n",
                escaped,
                &["/my cg/b", "/my cg"],
            ),
            ("no cgroups", "", V2_MOUNT, &[]),
            ("no mounts", "0::/x\n", "", &[]),
            ("neither text is what it should be", "x\n", "y z\n", &[]),
        ] {
            let found = find_cgroups("memory", own, mounts);
            let dirs: Vec<_> = found.iter().map(|c| c.dir.to_str().unwrap()).collect();
            assert_eq!(dirs, expected, "{what}");
            for cgroup in found {
                let v1 = cgroup.dir.starts_with("/sys/fs/cgroup/memory");
                assert_eq!(cgroup.version == Version::V1, v1, "{what}: {cgroup:?}");
            }
        }
    }

    #[test]
    fn a_quota_and_how_long_it_stopped_the_cgroup_are_read() {
        let v2 = "usage_usec 9\nnr_throttled 5\nthrottled_usec 2578145\n";
        let v1 = "nr_periods 36\nnr_throttled 5\nthrottled_time 2578145264\n";
        for (version, files, cores, throttled) in [
            (
                Version::V2,
                &[("cpu.max", "50000 100000\n"), ("cpu.stat", v2)][..],
                Some(0.5),
                Some(Duration::from_micros(2_578_145)),
            ),
            (Version::V2, &[("cpu.max", "max 100000\n")], None, None),
            (
                Version::V1,
                &[
                    ("cpu.cfs_quota_us", "300000\n"),
                    ("cpu.cfs_period_us", "100000\n"),
                    ("cpu.stat", v1),
                ],
                Some(3.0),
                Some(Duration::from_nanos(2_578_145_264)),
            ),
            (
                Version::V1,
                &[
                    ("cpu.cfs_quota_us", "-1\n"),
                    ("cpu.cfs_period_us", "100000\n"),
                ],
                None,
                None,
            ),
            (Version::V1, &[], None, None),
        ] {
            let dir = tempfile::tempdir().unwrap();
            for (name, text) in files {
                std::fs::write(dir.path().join(name), text).unwrap();
            }
            let cgroup = Cgroup {
                version,
                dir: dir.path().to_owned(),
            };
            assert_eq!(cgroup.quota_cores(), cores, "{files:?}");
            assert_eq!(cgroup.throttled(), throttled, "{files:?}");
        }
    }

    #[test]
    fn a_cgroup_leaves_its_limit_less_what_it_cannot_drop() {
        let (v1, v2) = (Version::V1, Version::V2);
        let v1_stat = "cache 9\ninactive_file 1\ntotal_inactive_file 100\ntotal_active_file 200\n";
        let v2_stat = "anon 9\nfile 400\ninactive_file 300\nactive_file 100\n";
        for (version, files, expected) in [
            (
                v2,
                &[
                    ("max", "2000\n"),
                    ("high", "max\n"),
                    ("current", "1500"),
                    ("stat", v2_stat),
                ][..],
                Some(900),
            ),
            (
                v2,
                &[
                    ("max", "2000\n"),
                    ("high", "1600\n"),
                    ("current", "1500"),
                    ("stat", v2_stat),
                ],
                Some(500),
            ),
            (v2, &[("max", "2000\n"), ("current", "1500\n")], Some(500)),
            (v2, &[("max", "2000\n"), ("current", "2001\n")], Some(0)),
            (
                v2,
                &[("max", "max\n"), ("high", "max\n"), ("current", "1500\n")],
                None,
            ),
            (v2, &[], None),
            (
                v1,
                &[
                    ("limit_in_bytes", "2000\n"),
                    ("usage_in_bytes", "1500"),
                    ("stat", v1_stat),
                ],
                Some(800),
            ),
            (
                v1,
                &[
                    ("limit_in_bytes", "9223372036854771712\n"),
                    ("usage_in_bytes", "1500"),
                ],
                None,
            ),
            // 64 KiB pages, as on some arm64 and ppc64 kernels.
            (
                v1,
                &[
                    ("limit_in_bytes", "9223372036854710272\n"),
                    ("usage_in_bytes", "1500"),
                ],
                None,
            ),
        ] {
            let dir = tempfile::tempdir().unwrap();
            for (name, text) in files {
                std::fs::write(dir.path().join(format!("memory.{name}")), text).unwrap();
            }
            let cgroup = Cgroup {
                version,
                dir: dir.path().to_owned(),
            };
            let memory = cgroup.memory();
            let available = memory.map(|m| m.available);
            assert_eq!(available, expected, "{version:?} {files:?}");
            assert!(memory.is_none_or(|m| [1600, 2000].contains(&m.limit)));
        }
    }
}
