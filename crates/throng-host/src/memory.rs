//! Memory: what the machine has, what the cgroups of this process leave of it, and what this process holds.
//!
//! A million sockets are in the kernel's slab, not in the address space of the process. A cgroup's memory controller
//! counts them nevertheless, so a container reaches its limit first, and then the kernel kills instead of refusing.
//! Hence both bounds.

use std::io;
use std::path::PathBuf;

use nix::sys::sysinfo::sysinfo;
use nix::unistd::{SysconfVar, sysconf};
use serde::{Deserialize, Serialize};
use throng_core::host::{CgroupMemory, Memory};

use crate::cgroup::{Cgroup, MemoryBound, own_cgroups};
use crate::proc_text;
use crate::reader::Reader;
use crate::slab;

/// The machine's memory, from `/proc/meminfo`. It is that of the whole machine, also in a container, unless LXCFS or a
/// sandbox fakes the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemInfo {
    /// `MemAvailable`: the kernel's estimate of the memory available without swapping.
    pub available_bytes: u64,
    /// `MemTotal`.
    pub total_bytes: u64,
    /// `Slab`: the kernel's objects, including sockets. `None` if it is not shown.
    pub slab_bytes: Option<u64>,
    /// `SReclaimable`: the part of it that the kernel considers droppable and so counts as available. It includes
    /// inodes and dentries, even those of open sockets.
    pub reclaimable_bytes: Option<u64>,
}

impl MemInfo {
    /// Reads `/proc/meminfo`. It takes some 20 µs.
    ///
    /// # Errors
    /// It can't be read, or lacks `MemTotal` or `MemAvailable`.
    pub fn read() -> io::Result<Self> {
        let path = "/proc/meminfo";
        let text = proc_text::read(path)?;
        Self::parse(&text).ok_or_else(|| proc_text::malformed(path, &text))
    }

    // procfs-core's parser refuses a file that lacks any of twenty fields, and sandboxes have such files.
    fn parse(text: &str) -> Option<Self> {
        let bytes = |name| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
            kib.checked_mul(1024)
        };
        Some(Self {
            available_bytes: bytes("MemAvailable:")?,
            total_bytes: bytes("MemTotal:")?,
            slab_bytes: bytes("Slab:"),
            reclaimable_bytes: bytes("SReclaimable:"),
        })
    }
}

/// How much memory can still be used before a process is killed, and what sets that bound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Available {
    /// Bytes; 0 if the bound is reached.
    pub bytes: u64,
    /// The tightest of all bounds.
    pub bound_by: BoundBy,
}

/// What sets the bound on memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum BoundBy {
    /// The machine itself.
    Machine,
    /// A cgroup that this process is in: its directory.
    Cgroup(PathBuf),
}

/// The bounds on this process's memory. They can be read repeatedly without locating the cgroups again.
#[derive(Debug, Clone)]
pub struct MemoryBounds {
    cgroups: Vec<Cgroup>,
    /// `SReclaimable` when the bounds were located.
    reclaimable_before: u64,
}

impl MemoryBounds {
    /// Finds the cgroups of this process that have a memory limit, including ancestors. If cgroups are not visible, the
    /// machine is the only bound.
    #[must_use]
    pub fn locate() -> Self {
        let mut cgroups = own_cgroups("memory");
        cgroups.retain(|cgroup| cgroup.memory().is_some());
        let machine = MemInfo::read().ok();
        Self {
            cgroups,
            reclaimable_before: machine.and_then(|m| m.reclaimable_bytes).unwrap_or(0),
        }
    }

    /// What is free under the tightest bound. For the machine, that is `MemAvailable` less the growth of `SReclaimable`
    /// since the bounds were located: the inodes and dentries of a million sockets, 2 GiB, can't be dropped while these
    /// are open. For a cgroup, it is its limit less its usage plus its page cache.
    ///
    /// # Errors
    /// `/proc/meminfo` can't be read. A cgroup that can't be read bounds nothing.
    pub fn available(&self) -> io::Result<Available> {
        Ok(self.available_of(&MemInfo::read()?))
    }

    /// What is free under the tightest bound, if the machine's memory was read already.
    #[must_use]
    pub fn available_of(&self, machine: &MemInfo) -> Available {
        let reclaimable = machine.reclaimable_bytes.unwrap_or(0);
        let held = reclaimable.saturating_sub(self.reclaimable_before);
        let machine = machine.available_bytes.saturating_sub(held);
        match self.tightest() {
            Some((cgroup, bound)) if bound.available < machine => Available {
                bytes: bound.available,
                bound_by: BoundBy::Cgroup(cgroup.dir.clone()),
            },
            _ => Available {
                bytes: machine,
                bound_by: BoundBy::Machine,
            },
        }
    }

    /// The cgroup that leaves the least memory.
    fn tightest(&self) -> Option<(&Cgroup, MemoryBound)> {
        let bounds = self.cgroups.iter().filter_map(|c| Some((c, c.memory()?)));
        bounds.min_by_key(|(_, bound)| bound.available)
    }
}

/// Reads the machine's memory and its bounds.
pub(crate) fn read(reader: &mut Reader) -> Memory {
    let machine = reader.kept("/proc/meminfo", MemInfo::read());
    reader.text("/proc/self/cgroup");
    let bounds = MemoryBounds::locate();
    let (total, available) = match machine {
        Some(machine) => (machine.total_bytes, machine.available_bytes),
        // Without the droppable page cache: less than all, but not 0.
        None => sysinfo().map_or((0, 0), |m| (m.ram_total(), m.ram_unused())),
    };
    let cgroup = bounds
        .tightest()
        .filter(|(_, bound)| bound.available < available)
        .map(|(cgroup, bound)| CgroupMemory {
            path: cgroup.dir.display().to_string(),
            version: cgroup.version(),
            limit: Some(bound.limit),
            available: bound.available,
        });
    let page = page_bytes();
    Memory {
        total,
        available,
        cgroup,
        page,
        objects: slab::read(reader, page),
    }
}

/// Bytes of a page.
fn page_bytes() -> u64 {
    let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
    page.and_then(|size| size.try_into().ok()).unwrap_or(4096)
}

/// Bytes of physical memory that this process has for itself: its heap, its stacks, and the rings that it shares with
/// the kernel; not its program and libraries, whose pages are the page cache's, nor what the kernel holds for it. Some
/// 10 µs. The kernel counts per thread or core: some 100 KiB may be missing.
///
/// # Errors
/// `/proc/self/statm` or `/proc/self/maps` cannot be read or understood.
pub fn own_bytes() -> io::Result<u64> {
    let path = "/proc/self/statm";
    let text = proc_text::read(path)?;
    let pages = parse_statm(&text).ok_or_else(|| proc_text::malformed(path, &text))?;
    let maps = std::fs::read("/proc/self/maps")?;
    Ok(pages.saturating_mul(page_bytes()) + ring_bytes(&maps))
}

/// Anonymous pages, from `size resident shared text lib data dt`: resident ones less those of files.
fn parse_statm(text: &str) -> Option<u64> {
    let mut numbers = text.split_whitespace().skip(1).map(|n| n.parse().ok());
    let (resident, shared): (u64, u64) = (numbers.next()??, numbers.next()??);
    Some(resident.saturating_sub(shared))
}

/// Bytes of io_uring's rings. The kernel counts them as pages of a file, and maps them whole.
fn ring_bytes(maps: &[u8]) -> u64 {
    let bytes_of = |line: &[u8]| {
        let range = line.strip_suffix(b"anon_inode:[io_uring]")?;
        let range = std::str::from_utf8(range).ok()?.split(' ').next()?;
        let (from, to) = range.split_once('-')?;
        let address = |hex| u64::from_str_radix(hex, 16).ok();
        address(to)?.checked_sub(address(from)?)
    };
    maps.split(|byte| *byte == b'\n').filter_map(bytes_of).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meminfo_is_parsed() {
        let real = "MemTotal:       24684092 kB\nMemFree:        24456828 kB\n\
            MemAvailable:   24405628 kB\nSlab:              97228 kB\nHugePages_Total:       0\n";
        let bare = "MemTotal:  2 kB\nMemAvailable: 1 kB\n";
        for (text, expected) in [
            (
                real,
                Some((24405628 * 1024, 24684092 * 1024, Some(97228 * 1024))),
            ),
            (bare, Some((1024, 2048, None))),
            ("MemTotal:  2 kB\n", None),
            (
                "MemTotal:  2 kB\nMemAvailable: 99999999999999999 kB\n",
                None,
            ),
            ("", None),
        ] {
            let parsed = MemInfo::parse(text);
            let parsed = parsed.map(|m| (m.available_bytes, m.total_bytes, m.slab_bytes));
            assert_eq!(parsed, expected, "{text:?}");
        }
    }

    #[test]
    fn statm_is_parsed() {
        for (text, expected) in [
            ("2163 437 389 5 0 120 0\n", Some(48)),
            ("2163 437\n", None),
            ("a b c\n", None),
            ("", None),
        ] {
            assert_eq!(parse_statm(text), expected, "{text:?}");
        }
    }

    #[test]
    fn the_tightest_bound_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text| std::fs::write(dir.path().join(name), text).unwrap();
        write("memory.current", "1500\n");
        let machine = MemInfo::read().unwrap();
        let bounds = MemoryBounds {
            cgroups: vec![Cgroup::v2(dir.path()), Cgroup::v2("/none")],
            reclaimable_before: 0,
        };
        for (max, bytes) in [
            ("2000\n", Some(500)),
            ("max\n", None),
            ("99999999999999999\n", None),
        ] {
            write("memory.max", max);
            let available = bounds.available().unwrap();
            match bytes {
                Some(bytes) => {
                    let bound_by = BoundBy::Cgroup(dir.path().to_owned());
                    assert_eq!(available, Available { bytes, bound_by });
                }
                None => {
                    assert_eq!(available.bound_by, BoundBy::Machine, "{max}");
                    assert!(available.bytes <= machine.total_bytes);
                }
            }
        }
    }

    #[test]
    fn rings_are_found_among_mappings() {
        let maps = b"55d0-55f0 r-xp 00000000 fe:00 12 /usr/bin/\xff\n\
            7f00-7f40 rw-s 00000000 00:0f 1051 anon_inode:[io_uring]\n\
            7f40-7f50 rw-p 00000000 00:00 0\n\
            7f60-8060 rw-s 10000000 00:0f 1051 anon_inode:[io_uring]\n";
        assert_eq!(ring_bytes(maps), 0x40 + 0x100);
    }

    #[test]
    fn this_process_has_memory_and_room() {
        let machine = MemInfo::read().unwrap();
        let available = MemoryBounds::locate().available().unwrap();
        assert!(
            available.bytes > 0 && available.bytes <= machine.total_bytes,
            "{available:?}"
        );
    }

    #[test]
    fn touched_memory_becomes_resident() {
        const SIZE: u64 = 64 << 20;
        let before = own_bytes().unwrap();
        let touched = vec![1_u8; SIZE as usize];
        let grown = own_bytes().unwrap().saturating_sub(before);
        assert!((SIZE - (4 << 20)..SIZE * 2).contains(&grown), "{grown}");
        assert_eq!(touched.last(), Some(&1));
    }
}
