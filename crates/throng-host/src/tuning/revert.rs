//! Putting everything back as the state file says it was: the newest change first. What somebody else
//! has changed since is left alone, unless asked to write over it, and stays in the state file.

use std::fs;
use std::io;
use std::path::Path;

use throng_core::tune::{Did, NOTRACK, Outcome, words};

use super::apply::{Done, shown};
use super::state::{OldLimit, OldSysctl, OwnFile, OwnRules, Store, remove_own_directory};
use super::{Fault, Here, System, notrack, persist, process, sysctl};

/// Puts everything back. With `force` also what somebody else has changed since; and what can't be put
/// back from here because it belongs to another network namespace is forgotten.
///
/// # Errors
/// If the state file can't be read or written. What could not be put back is an [`Outcome`].
pub fn revert(system: &System, state_file: &Path, force: bool) -> Result<Done, Fault> {
    revert_in_steps(system, state_file, force, &mut || ())
}

/// As [`super::apply::apply_in_steps`].
pub(super) fn revert_in_steps(
    system: &System,
    state_file: &Path,
    force: bool,
    step: &mut dyn FnMut(),
) -> Result<Done, Fault> {
    let mut unfinished = state_file.as_os_str().to_owned();
    unfinished.push(".new");
    if !state_file.exists() && !Path::new(&unfinished).exists() {
        // A kill may have come between the removal of the file and that of its directory.
        remove_own_directory(state_file);
        return Ok((Vec::new(), None));
    }
    let mut store = Store::open(state_file)?;
    let mut work = Work {
        system,
        here: Here::read(),
        force,
        step,
        outcomes: Vec::new(),
    };
    let state = &mut store.state;
    retain_reversed(&mut state.files, |f| work.file(f));
    let mut directories = std::mem::take(&mut state.directories);
    // One whose file is left alone is still needed, and still throng's to remove one day.
    let needed = |d: &str| {
        state
            .files
            .iter()
            .any(|f| Path::new(&f.path).starts_with(d))
    };
    retain_reversed(&mut directories, |d| needed(d) || work.directory(d));
    state.directories = directories;
    retain_reversed(&mut state.processes, |p| work.process(p));
    retain_reversed(&mut state.notrack, |r| work.rules(r));
    retain_reversed(&mut state.sysctls, |s| work.sysctl(s));
    (work.step)();
    store.save()?;
    (work.step)();
    Ok((work.outcomes, store.close()))
}

/// Keeps what `keep` says, and asks from the last to the first.
fn retain_reversed<T>(all: &mut Vec<T>, mut keep: impl FnMut(&T) -> bool) {
    for i in (0..all.len()).rev() {
        if !keep(&all[i]) {
            all.remove(i);
        }
    }
}

struct Work<'a> {
    system: &'a System,
    here: Here,
    force: bool,
    step: &'a mut dyn FnMut(),
    outcomes: Vec<Outcome>,
}

/// What each of these returns: whether the state file has to go on remembering it.
impl Work<'_> {
    fn did(&mut self, what: &str, did: Did, detail: impl Into<String>) -> bool {
        self.outcomes.push(Outcome::new(what, did, detail));
        matches!(did, Did::Failed | Did::Foreign)
    }

    fn elsewhere(&mut self, what: &str, namespace: &str) -> bool {
        if self.force {
            return self.did(
                what,
                Did::AsItWas,
                format!("of network namespace {namespace}: forgotten"),
            );
        }
        self.did(
            what,
            Did::Failed,
            format!(
                "it was set in network namespace {namespace}, this is {}; revert there (nsenter -n). If that one is \
                 gone, add --force to forget it",
                self.here.namespace
            ),
        )
    }

    fn sysctl(&mut self, old: &OldSysctl) -> bool {
        if !old.place.is(&self.here) {
            return self.elsewhere(&old.name, old.place.namespace());
        }
        let now = match sysctl::read(self.system, &old.name) {
            Ok(now) => now,
            // Conntrack's values go and come with it; all others are always somewhere.
            Err(e)
                if e.kind() == io::ErrorKind::NotFound
                    && old.name.starts_with("net.netfilter.") =>
            {
                return self.did(
                    &old.name,
                    Did::AsItWas,
                    "connection tracking is not loaded any more",
                );
            }
            Err(e) => return self.did(&old.name, Did::Failed, format!("can't be read: {e}")),
        };
        if now == old.old {
            return self.did(&old.name, Did::AsItWas, shown(&words(&now)));
        }
        let ours = old.wrote(&now);
        if !ours && !self.force {
            let (now, before) = (words(&now), words(&old.old));
            return self.did(
                &old.name,
                Did::Foreign,
                format!(
                    "somebody has set it to {} since, so it was left alone; it was {} before throng. --revert --force \
                     puts that back",
                    shown(&now),
                    shown(&before)
                ),
            );
        }
        (self.step)();
        let written = sysctl::write(self.system, &old.name, &old.old);
        (self.step)();
        if let Err(why) = written {
            return self.did(&old.name, Did::Failed, why);
        }
        match sysctl::read(self.system, &old.name) {
            Ok(then) if then == old.old => {
                let detail = format!("{} -> {}", shown(&words(&now)), shown(&words(&then)));
                self.did(&old.name, Did::Changed, detail)
            }
            Ok(then) => {
                let detail = format!(
                    "asked for {}, the kernel made it {}",
                    shown(&words(&old.old)),
                    shown(&words(&then))
                );
                self.did(&old.name, Did::Failed, detail)
            }
            Err(e) => self.did(&old.name, Did::Failed, format!("can't be read: {e}")),
        }
    }

    fn rules(&mut self, rules: &OwnRules) -> bool {
        if !rules.place.is(&self.here) {
            return self.elsewhere(NOTRACK, rules.place.namespace());
        }
        match notrack::untracked(rules.tool) {
            Ok(Some(_)) => {}
            Ok(None) if rules.tool == notrack::Tool::Nft => {
                return self.did(NOTRACK, Did::AsItWas, "no rules");
            }
            // ip6tables may still have some.
            Ok(None) => {}
            Err(why) => return self.did(NOTRACK, Did::Failed, why),
        }
        (self.step)();
        let removed = notrack::remove(rules.tool);
        (self.step)();
        match removed {
            Ok(()) => self.did(
                NOTRACK,
                Did::Changed,
                format!("rules for {} removed", rules.ports),
            ),
            Err(why) => self.did(NOTRACK, Did::Failed, why),
        }
    }

    fn process(&mut self, old: &OldLimit) -> bool {
        let what = format!("process {}", old.pid);
        let same =
            old.boot == self.here.boot && process::started(old.pid).is_ok_and(|s| s == old.started);
        if !same {
            return self.did(&what, Did::AsItWas, "it has ended, and its limit with it");
        }
        let now = match process::file_limits_of(old.pid) {
            Ok(now) => now,
            Err(e) => return self.did(&what, Did::Failed, format!("can't be read: {e}")),
        };
        if now == old.old {
            return self.did(&what, Did::AsItWas, "its file limit is as it was");
        }
        if !old.written.contains(&now) && !self.force {
            let detail = format!(
                "its file limit was set to {} {} since, so it was left alone",
                now.0, now.1
            );
            return self.did(&what, Did::Foreign, detail);
        }
        (self.step)();
        let set = process::set_file_limits(old.pid, old.old);
        (self.step)();
        match set {
            Ok(()) => self.did(&what, Did::Changed, "its file limit is as it was"),
            Err(why) => self.did(&what, Did::Failed, why),
        }
    }

    fn file(&mut self, own: &OwnFile) -> bool {
        let there = match persist::read(self.system, &own.path) {
            Ok(there) => there,
            Err(e) => return self.did(&own.path, Did::Failed, format!("can't be read: {e}")),
        };
        let edited = there
            .as_ref()
            .is_some_and(|text| !own.contents.contains(text));
        if edited && !self.force {
            let detail =
                "somebody has edited it since, so it was left alone; --revert --force removes it";
            return self.did(&own.path, Did::Foreign, detail);
        }
        (self.step)();
        let removed = persist::remove(self.system, &own.path);
        (self.step)();
        match (removed, there) {
            (Ok(()), Some(_)) => self.did(&own.path, Did::Changed, "removed"),
            (Ok(()), None) => self.did(&own.path, Did::AsItWas, "not there"),
            (Err(e), _) => self.did(&own.path, Did::Failed, format!("can't be removed: {e}")),
        }
    }

    /// Made for a file; it stays if somebody else has put something there.
    fn directory(&mut self, path: &str) -> bool {
        (self.step)();
        let removed = fs::remove_dir(self.system.path(path));
        (self.step)();
        match removed {
            Ok(()) => self.did(path, Did::Changed, "removed"),
            Err(e) if e.kind() == io::ErrorKind::NotFound => false,
            Err(e) if e.kind() == io::ErrorKind::DirectoryNotEmpty => {
                self.did(path, Did::AsItWas, "others have files there")
            }
            Err(e) => self.did(path, Did::Failed, format!("can't be removed: {e}")),
        }
    }
}
