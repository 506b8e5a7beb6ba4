//! The kernel's log from now on. Some limits are reported nowhere else.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

use nix::libc::{EPIPE, O_NONBLOCK};

/// The longest record (CONSOLE_EXT_LOG_MAX, with room to spare).
const RECORD: usize = 16 << 10;

/// Records that are written to `/dev/kmsg` after this was opened. There are none if it can't be read (it needs root or
/// `kernel.dmesg_restrict=0`, and most containers have none).
#[derive(Debug)]
pub struct KernelLog {
    file: Option<File>,
}

impl KernelLog {
    /// Opens the log at its end.
    #[must_use]
    pub fn from_now() -> KernelLog {
        let open = || {
            let mut options = OpenOptions::new();
            let mut file = options
                .read(true)
                .custom_flags(O_NONBLOCK)
                .open("/dev/kmsg")?;
            file.seek(SeekFrom::End(0))?;
            std::io::Result::Ok(file)
        };
        KernelLog { file: open().ok() }
    }

    /// Whether a record that the table of connection tracking is full was written since the last call. Since Linux 6.15
    /// it names the network namespace; records of other namespaces than that of this process do not count.
    pub fn conntrack_full(&self) -> bool {
        let own = fs::metadata("/proc/self/ns/net").map(|ns| ns.ino());
        self.says(|record| is_conntrack_full(record, own.as_ref().ok().copied()))
    }

    /// Whether a record that is `meant` was written since the last call.
    fn says(&self, meant: impl Fn(&str) -> bool) -> bool {
        let Some(mut file) = self.file.as_ref() else {
            return false;
        };
        let mut record = vec![0; RECORD];
        let mut found = false;
        loop {
            match file.read(&mut record) {
                Ok(0) => return found,
                Ok(n) => found |= meant(&String::from_utf8_lossy(&record[..n])),
                // Records were overwritten before they were read. The next read continues after them.
                Err(e) if e.raw_os_error() == Some(EPIPE) => {}
                Err(_) => return found,
            }
        }
    }
}

/// Whether `record` says that the table of connection tracking is full: in the network namespace `own`, if it names one.
fn is_conntrack_full(record: &str, own: Option<u64>) -> bool {
    let Some((_, rest)) = record.split_once("nf_conntrack: table full") else {
        return false;
    };
    let Some((_, named)) = rest.split_once(" in netns ") else {
        return true;
    };
    let digits = named.split(|c: char| !c.is_ascii_digit()).next();
    let named: Option<u64> = digits.and_then(|digits| digits.parse().ok());
    named.is_some() && named == own
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_record_is_found_once() {
        let mut records = tempfile::tempfile().unwrap();
        let line = "4,7,99,-;nf_conntrack: nf_conntrack: table full, dropping packet\n";
        records.write_all(line.as_bytes()).unwrap();
        records.seek(SeekFrom::Start(0)).unwrap();
        let log = KernelLog {
            file: Some(records),
        };
        assert!(log.conntrack_full());
        assert!(!log.conntrack_full());
        assert!(!KernelLog { file: None }.says(|_| true));
    }

    #[test]
    fn a_full_table_of_another_namespace_is_none_of_ours() {
        for (record, full) in [
            (
                "4,7,9,-;nf_conntrack: nf_conntrack: table full, dropping packet",
                true,
            ),
            (
                "4,7,9,-;nf_conntrack: nf_conntrack: table full in netns 4026531833, dropping packet",
                true,
            ),
            (
                "4,7,9,-;nf_conntrack: nf_conntrack: table full in netns 4026532245, dropping packet",
                false,
            ),
            (
                "4,7,9,-;nf_conntrack: nf_conntrack: table full in netns , dropping packet",
                false,
            ),
            (
                "4,7,9,-;nf_conntrack: default automatic helper assignment",
                false,
            ),
        ] {
            assert_eq!(
                is_conntrack_full(record, Some(4_026_531_833)),
                full,
                "{record}"
            );
        }
    }

    #[test]
    fn what_came_before_is_not_read() {
        // Every boot logs this first.
        assert!(!KernelLog::from_now().says(|record| record.contains("Linux version")));
    }
}
