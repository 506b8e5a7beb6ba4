//! The sizes of the kernel's objects for a connection, from its slab allocator.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use throng_core::host::SocketObjects;

use crate::reader::Reader;

/// Where SLUB shows each cache, also those merged with another one of the same size, which `/proc/slabinfo` lacks.
const SYSFS: &str = "/sys/kernel/slab";

/// Reads `/proc/slabinfo`, and what it lacks from `/sys/kernel/slab`. `page` is in bytes.
pub(crate) fn read(reader: &mut Reader, page: u64) -> Option<SocketObjects> {
    let info = reader.text("/proc/slabinfo")?;
    let info = parse(&info, page);
    let bytes = |name: &str| {
        info.get(name)
            .copied()
            .or_else(|| merged(Path::new(SYSFS), name, page))
    };
    let objects = objects(bytes);
    if objects.is_none() {
        reader.note("/proc/slabinfo", "has no line for TCP's sockets");
    }
    objects
}

/// The same without a reader; `None` if this user may not read it.
pub(crate) fn now() -> Option<SocketObjects> {
    let text = fs::read_to_string("/proc/slabinfo").ok()?;
    let page = rustix::param::page_size() as u64;
    let info = parse(&text, page);
    let size = |name: &str| info.get(name).copied();
    objects(|name| size(name).or_else(|| merged(Path::new(SYSFS), name, page)))
}

/// The objects of one socket, given the size of an object of each cache.
fn objects(bytes: impl Fn(&str) -> Option<u32>) -> Option<SocketObjects> {
    let together = |one, other| match (bytes(one), bytes(other)) {
        (None, None) => None,
        (one, other) => Some(one.unwrap_or(0) + other.unwrap_or(0)),
    };
    Some(SocketObjects {
        tcp: bytes("TCP")?,
        tcp6: bytes("TCPv6"),
        inode: bytes("sock_inode_cache")?,
        dentry: bytes("dentry")?,
        file: bytes("filp")?,
        // The second exists since Linux 6.1.
        bind: together("tcp_bind_bucket", "tcp_bind2_bucket"),
        uring_op: bytes("io_kiocb"),
        epoll_item: together("eventpoll_epi", "eventpoll_pwq"),
        conntrack: bytes("nf_conntrack"),
        time_wait: bytes("tw_sock_TCP"),
        request: bytes("request_sock_TCP"),
    })
}

/// The size of an object in bytes, by the name of its cache, from
/// `name <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables …`.
fn parse(slabinfo: &str, page: u64) -> HashMap<&str, u32> {
    let line = |line: &'_ str| -> Option<u32> {
        let mut numbers = line.split_whitespace().skip(4);
        let objects: u64 = numbers.next()?.parse().ok()?;
        let pages: u64 = numbers.next()?.parse().ok()?;
        each(pages, objects, page)
    };
    slabinfo
        .lines()
        .filter_map(|l| Some((l.split_whitespace().next()?, line(l)?)))
        .collect()
}

/// The size in bytes of an object of a cache that was merged with others.
fn merged(sysfs: &Path, name: &str, page: u64) -> Option<u32> {
    let number = |file: &str| -> Option<u32> {
        let text = fs::read_to_string(sysfs.join(name).join(file)).ok()?;
        text.trim().parse().ok()
    };
    let pages = 1_u64.checked_shl(number("order")?)?;
    each(pages, number("objs_per_slab")?.into(), page)
}

fn each(pages: u64, objects: u64, page: u64) -> Option<u32> {
    let bytes = pages.checked_mul(page)?.checked_div(objects)?;
    u32::try_from(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::namespace::why;
    use crate::survey::{Wanted, survey};

    const INFO: &str = "\
slabinfo - version: 2.1
# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables <limit> <batchcount> <sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>
TCPv6                 65    117   2496   13    8 : tunables    0    0    0 : slabdata      9      9      0
TCP                   66    117   2368   13    8 : tunables    0    0    0 : slabdata      9      9      0
sock_inode_cache     285    399    832   19    4 : tunables    0    0    0 : slabdata     21     21      0
dentry            208339 209517    192   21    1 : tunables    0    0    0 : slabdata   9977   9977      0
filp                 793   1239    192   21    1 : tunables    0    0    0 : slabdata     59     59      0
eventpoll_epi        163    352    128   32    1 : tunables    0    0    0 : slabdata     11     11      0
";

    #[test]
    fn an_object_takes_its_share_of_the_slab() {
        let found = parse(INFO, 4096);
        let objects = objects(|name| found.get(name).copied()).unwrap();
        assert_eq!(
            objects,
            SocketObjects {
                tcp: 8 * 4096 / 13,
                tcp6: Some(8 * 4096 / 13),
                inode: 4 * 4096 / 19,
                dentry: 195,
                file: 195,
                bind: None,
                uring_op: None,
                epoll_item: Some(128),
                conntrack: None,
                time_wait: None,
                request: None,
            }
        );
        // 64 KiB pages, as on some arm64 kernels.
        assert_eq!(parse(INFO, 65_536)["filp"], 65_536 / 21);
        for odd in [
            "",
            "slabinfo - version: 2.1\n",
            "TCP 1 2 3\n",
            "TCP 1 2 3 0 8 : x\n",
        ] {
            assert_eq!(parse(odd, 4096).get("TCP"), None, "{odd:?}");
        }
    }

    #[test]
    fn a_merged_cache_is_found_under_the_name_of_another() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().join(":A-0000128");
        fs::create_dir(&real).unwrap();
        fs::write(real.join("order"), "1\n").unwrap();
        fs::write(real.join("objs_per_slab"), "60\n").unwrap();
        std::os::unix::fs::symlink(":A-0000128", dir.path().join("tcp_bind_bucket")).unwrap();
        assert_eq!(merged(dir.path(), "tcp_bind_bucket", 4096), Some(136));
        assert_eq!(merged(dir.path(), "no_such_cache", 4096), None);
    }

    #[test]
    fn an_object_is_no_smaller_than_the_slab_allocator_says() {
        let host = survey(&Wanted::default());
        let Some(objects) = host.memory.objects else {
            assert!(why(&host, "/proc/slabinfo").is_some());
            return;
        };
        let info = std::fs::read_to_string("/proc/slabinfo").unwrap();
        let size = |name: &str| -> u32 {
            let mut lines = info
                .lines()
                .map(|l| l.split_whitespace().collect::<Vec<_>>());
            lines.find(|l| l[0] == name).unwrap()[3].parse().unwrap()
        };
        for (name, bytes) in [
            ("TCP", objects.tcp),
            ("sock_inode_cache", objects.inode),
            ("dentry", objects.dentry),
            ("filp", objects.file),
        ] {
            let size = size(name);
            assert!(
                (size..size * 3 / 2).contains(&bytes),
                "{name}: {bytes}, size {size}"
            );
        }
        // SLUB merges these with others of their size. They are found nevertheless.
        if std::path::Path::new("/sys/kernel/slab/tcp_bind_bucket").exists() {
            assert!(
                objects.bind.is_some() && objects.epoll_item.is_some(),
                "{objects:?}"
            );
        }
    }
}
