//! Files that the command line names: read whole within bounds, and no two of them the same where one is written.

use crate::Failure;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use throng_report::file;

/// The largest input, in bytes. Inputs are kept in memory; what is larger is no message but a mistake, such as
/// `/dev/zero`.
const LARGEST: u64 = 256 << 20;
/// How many bytes of a file are its beginning.
const BEGINNING: usize = 4096;

/// A file and the option that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    /// The option, or what else names it.
    pub option: String,
    /// Its path.
    pub path: PathBuf,
}

impl Named {
    pub fn new(option: impl Into<String>, path: impl Into<PathBuf>) -> Named {
        Named {
            option: option.into(),
            path: path.into(),
        }
    }
}

/// Reads the file at `path` to its end.
///
/// # Errors
/// It can't be read, or is larger than 256 MiB.
pub(crate) fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    read_to_end(File::open(path)?)
}

/// Reads the file at `path` to its end, if its beginning is as `begins` wants it.
///
/// # Errors
/// Those of [`read`], and what `begins` says of the beginning.
pub(crate) fn read_if(
    path: &Path,
    begins: impl FnOnce(&[u8]) -> Result<(), String>,
) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    // What is not a regular file has no size.
    let size = file.metadata()?.len();
    let mut beginning = vec![0; BEGINNING];
    let mut known = 0;
    while known < BEGINNING {
        match file.read(&mut beginning[known..])? {
            0 => break,
            more => known += more,
        }
    }
    beginning.truncate(known);
    begins(&beginning).map_err(io::Error::other)?;
    if size > LARGEST {
        return Err(too_large());
    }
    let mut rest = file.take(LARGEST + 1 - known as u64);
    let mut bytes = beginning;
    bytes.reserve_exact((size as usize).saturating_sub(known));
    rest.read_to_end(&mut bytes)?;
    match bytes.len() as u64 > LARGEST {
        true => Err(too_large()),
        false => Ok(bytes),
    }
}

/// Reads `from` to its end.
///
/// # Errors
/// Those of [`read`].
pub(crate) fn read_to_end(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(LARGEST + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > LARGEST {
        true => Err(too_large()),
        false => Ok(bytes),
    }
}

fn too_large() -> io::Error {
    io::Error::other("larger than 256 MiB, the most that is read")
}

/// The token in a file: its first line.
pub(crate) fn token(path: &Path) -> Result<String, Failure> {
    let wrong = |why: &str| Failure::usage(format!("--token-file {}: {why}", path.display()));
    let bytes = read(path).map_err(|e| wrong(&e.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8"))?;
    match text.lines().next().map(str::trim) {
        Some(token) if !token.is_empty() => Ok(token.to_owned()),
        _ => Err(wrong("its first line is empty; it is to be the token")),
    }
}

/// Whether an output goes to stdout: `-`.
pub(crate) fn is_stdout(path: &Path) -> bool {
    path == Path::new("-")
}

/// Refuses, before the run begins, outputs that can't be written, and outputs that overwrite each other or an input.
pub(crate) fn check(outputs: &[Named], inputs: &[Named]) -> Result<(), Failure> {
    for (n, output) in outputs.iter().enumerate() {
        file::can_write(&output.path).map_err(|e| Failure::usage(e.to_string()))?;
        let Some(written) = regular(&output.path) else {
            continue;
        };
        let same = |other: &&Named| regular(&other.path).as_ref() == Some(&written);
        let (option, path) = (&output.option, output.path.display());
        if let Some(other) = outputs[..n].iter().find(same) {
            return Err(Failure::usage(format!(
                "{} and {option} would both write to {path}: give each a file of its own",
                other.option
            )));
        }
        if let Some(input) = inputs.iter().find(same) {
            return Err(Failure::usage(format!(
                "{option} {path} would overwrite the file that {} reads: give it another name",
                input.option
            )));
        }
    }
    Ok(())
}

/// The path of a regular file, or of one that is not there yet, without links; `None` for others, such as `/dev/null`,
/// which writing does not replace.
fn regular(path: &Path) -> Option<PathBuf> {
    match fs::metadata(path) {
        Ok(file) if file.is_file() => fs::canonicalize(path).ok(),
        Ok(_) => None,
        Err(_) => {
            let parent = match path.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent,
                _ => Path::new("."),
            };
            Some(fs::canonicalize(parent).ok()?.join(path.file_name()?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_end_is_not_read_to_it() {
        let error = read("/dev/zero").unwrap_err().to_string();
        assert!(error.contains("256 MiB"), "{error}");
        assert_eq!(read("/dev/null").unwrap(), b"");
    }

    #[test]
    fn outputs_are_files_of_their_own_however_they_are_written() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("there"), "x").unwrap();
        std::os::unix::fs::symlink(at("there"), at("link")).unwrap();
        let named = |names: &[&str]| -> Vec<Named> {
            let option = |n: usize| format!("--option-{n}");
            let each = names.iter().enumerate();
            each.map(|(n, name)| Named::new(option(n), at(name)))
                .collect()
        };
        for (outputs, inputs, refused) in [
            (&["a", "b"][..], &["there"][..], None),
            (&["a", "a"], &[], Some("--option-0 and --option-1")),
            (&["a", "./a"], &[], Some("--option-0 and --option-1")),
            (&["there", "link"], &[], Some("--option-0 and --option-1")),
            (
                &["a", "link"],
                &["there"],
                Some("the file that --option-0 reads"),
            ),
            (&["/dev/null", "/dev/null"], &["/dev/null"], None),
        ] {
            let failure = check(&named(outputs), &named(inputs)).err();
            assert_eq!(
                failure.is_some(),
                refused.is_some(),
                "{outputs:?} {inputs:?}"
            );
            if let (Some(failure), Some(refused)) = (failure, refused) {
                assert_eq!(failure.code, 2);
                let text = format!("{failure:?}");
                assert!(text.contains(refused), "{text}");
            }
        }
    }
}
