//! A file of lines that grows while a run lasts.
//!
//! It is written beside its place and takes its name when the run is over, even after an error, so that a file with
//! that name is complete as far as the run went. A killed process leaves the unfinished file behind (`.throng-…`). A
//! path that is not a regular file, such as `/dev/stdout` or a pipe, receives the lines at once.

use crate::file::{Target, cannot_write};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Lines are gathered up to this many bytes: a write for each would cost more than formatting it.
const GATHERED: usize = 64 * 1024;

/// A growing log. A write error is reported once. After that the log discards lines, so that the run goes on.
#[derive(Debug)]
pub(crate) struct Log {
    /// `None` once it is finished.
    target: Option<Target>,
    path: PathBuf,
    /// Whole lines that are not written yet.
    lines: Vec<u8>,
    /// Bytes of whole lines that are written.
    written: u64,
    /// Whether something was added after the head.
    grown: bool,
    failed: bool,
}

impl Log {
    /// A log for `path` that begins with the lines of `head`.
    ///
    /// # Errors
    /// The file system's error, with the path.
    pub fn create(path: &Path, head: &str) -> io::Result<Log> {
        Ok(Log {
            target: Some(Target::open(path).map_err(|e| cannot_write(path, &e))?),
            path: path.to_owned(),
            lines: head.as_bytes().to_vec(),
            written: 0,
            grown: false,
            failed: false,
        })
    }

    /// Adds the whole lines that `add` writes.
    ///
    /// # Errors
    /// As [`Log::flush`].
    pub fn add(&mut self, add: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        if self.failed {
            return Ok(());
        }
        let before = self.lines.len();
        add(&mut self.lines);
        self.grown |= self.lines.len() > before;
        match self.lines.len() {
            GATHERED.. => self.flush(),
            _ => Ok(()),
        }
    }

    /// Writes what was gathered.
    ///
    /// # Errors
    /// The file system's error, with the path; the first time only.
    pub fn flush(&mut self) -> io::Result<()> {
        let Some(target) = &self.target else {
            return Ok(());
        };
        if self.failed || self.lines.is_empty() {
            return Ok(());
        }
        let wrote = target.file().write_all(&self.lines);
        match &wrote {
            Ok(()) => self.written += self.lines.len() as u64,
            Err(_) => {
                self.failed = true;
                if let Target::New(new) = target {
                    // Half a line is worse than none.
                    let _ = new.file().set_len(self.written);
                }
            }
        }
        self.lines.clear();
        wrote.map_err(|e| cannot_write(&self.path, &e))
    }

    /// Writes the rest, and gives the file its name. Lines that were discarded after an error are missing.
    ///
    /// # Errors
    /// The file system's error, with the path, unless one was reported before.
    pub fn finish(mut self) -> io::Result<()> {
        self.end()
    }

    fn end(&mut self) -> io::Result<()> {
        let flushed = self.flush();
        let reported = self.failed && flushed.is_ok();
        match self.target.take() {
            Some(Target::New(new)) => {
                let kept = new.keep().map_err(|e| cannot_write(&self.path, &e));
                flushed.and(if reported { Ok(()) } else { kept })
            }
            Some(Target::There(_)) | None => flushed,
        }
    }
}

impl Drop for Log {
    /// A run that ends with an error keeps its log. A run that did not begin leaves the path unchanged.
    fn drop(&mut self) {
        if self.grown {
            let _ = self.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn names(directory: &Path) -> Vec<String> {
        fs::read_dir(directory)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    fn line(log: &mut Log, text: &str) -> io::Result<()> {
        log.add(|lines| lines.extend_from_slice(text.as_bytes()))
    }

    #[test]
    fn a_log_has_its_name_when_it_is_whole_and_not_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run.csv");
        fs::write(&path, "old").unwrap();
        let mut log = Log::create(&path, "head\n").unwrap();
        line(&mut log, "one\n").unwrap();
        log.flush().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(names(dir.path()).len(), 2);
        let long = format!("{}\n", "x".repeat(GATHERED));
        line(&mut log, &long).unwrap();
        log.finish().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, format!("head\none\n{long}"));
        assert_eq!(names(dir.path()), ["run.csv"]);
    }

    #[test]
    fn a_run_that_fails_keeps_its_lines_and_one_that_never_began_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run.csv");
        fs::write(&path, "old").unwrap();
        drop(Log::create(&path, "head\n").unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(names(dir.path()), ["run.csv"]);
        let mut log = Log::create(&path, "head\n").unwrap();
        line(&mut log, "one\n").unwrap();
        drop(log);
        assert_eq!(fs::read_to_string(&path).unwrap(), "head\none\n");
        // A run that measured nothing has a log of nothing.
        Log::create(&path, "head\n").unwrap().finish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "head\n");
    }

    #[test]
    fn what_cannot_be_written_is_reported_once_and_the_run_goes_on() {
        // Every write to it fails, as on a full disk.
        let full = Path::new("/dev/full");
        let mut log = Log::create(full, "head\n").unwrap();
        line(&mut log, "one\n").unwrap();
        let error = log.flush().unwrap_err().to_string();
        assert!(error.starts_with("cannot write /dev/full: "), "{error}");
        for _ in 0..3 {
            line(&mut log, &"x".repeat(GATHERED)).unwrap();
            log.flush().unwrap();
        }
        assert!(log.lines.is_empty(), "what is dropped takes no memory");
        log.finish().unwrap();
        let unfinished = Log::create(full, "head\n").unwrap();
        assert!(
            unfinished.finish().is_err(),
            "reported at the end, if not before"
        );
        let nowhere = Path::new("/nonexistent/run.csv");
        let error = Log::create(nowhere, "").unwrap_err().to_string();
        assert!(error.starts_with("cannot write /nonexistent/run.csv: "));
    }

    #[test]
    fn a_directory_that_is_gone_is_reported_at_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::create(&dir.path().join("run.csv"), "head\n").unwrap();
        line(&mut log, "one\n").unwrap();
        dir.close().unwrap();
        let error = log.finish().unwrap_err().to_string();
        assert!(error.contains("run.csv: No such file"), "{error}");
    }
}
