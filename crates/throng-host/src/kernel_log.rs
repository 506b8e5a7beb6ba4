//! The kernel's log from now on. Some limits are reported nowhere else.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;

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

    /// Whether a record with `words` was written since the last call.
    pub fn says(&self, words: &str) -> bool {
        let Some(mut file) = self.file.as_ref() else {
            return false;
        };
        let mut record = vec![0; RECORD];
        let mut found = false;
        loop {
            match file.read(&mut record) {
                Ok(0) => return found,
                Ok(n) => found |= String::from_utf8_lossy(&record[..n]).contains(words),
                // Records were overwritten before they were read. The next read continues after them.
                Err(e) if e.raw_os_error() == Some(EPIPE) => {}
                Err(_) => return found,
            }
        }
    }
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
        assert!(log.says("nf_conntrack: table full"));
        assert!(!log.says("nf_conntrack: table full"));
        assert!(!KernelLog { file: None }.says(""));
    }

    #[test]
    fn what_came_before_is_not_read() {
        // Every boot logs this first.
        assert!(!KernelLog::from_now().says("Linux version"));
    }
}
