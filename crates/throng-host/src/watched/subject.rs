//! What is watched: a process with all that it started, or the processes of a cgroup, which systemd's units and containers are.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::containers;
use crate::cgroup;
use crate::process_usage::{ProcessUsage, families};

/// Cgroups that are looked at, at most.
const CGROUPS: usize = 50_000;
/// The kinds of units that have processes.
const UNITS: [&str; 3] = ["service", "scope", "slice"];

/// What is watched.
#[derive(Clone, Debug)]
pub struct Subject {
    /// What it is called in reports.
    name: String,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    /// A process, and all that it started.
    Tree(ProcessUsage),
    /// The processes of a cgroup, by its directory.
    Group(PathBuf),
}

impl Subject {
    /// Finds what `text` names: a process id, a unit of systemd, a cgroup by its path, or a container by its name or id.
    ///
    /// # Errors
    /// There is no such thing, or several, in one line.
    pub fn find(text: &str) -> Result<Subject, String> {
        if let Ok(pid) = text.parse::<u32>() {
            return Subject::process(pid);
        }
        let mounts = cgroup::mounts();
        if text.contains('/') {
            return of_path(text, &mounts);
        }
        let all = all_below(&mounts);
        let mut found = of_unit(text, &all);
        if found.is_empty() && containers::may_be_id(text) {
            found = of_ids(&all, |id| id.starts_with(text));
        }
        if found.is_empty() {
            let ids = containers::named(text);
            found = of_ids(&all, |id| ids.iter().any(|known| known == id));
        }
        let mut found = found.into_values();
        match (found.next(), found.next()) {
            (Some(subject), None) => Ok(subject),
            (Some(one), Some(other)) => Err(format!(
                "'{text}' is {} as well as {}: name one of them in full",
                one.name, other.name
            )),
            (None, _) => Err(format!(
                "'{text}' is no process id, and no unit or container of this machine that has processes: a container can be \
                 named by its id, a cgroup by its path"
            )),
        }
    }

    fn process(pid: u32) -> Result<Subject, String> {
        if pid == std::process::id() {
            return Err(format!("process {pid} is this throng itself"));
        }
        let root = match ProcessUsage::read(pid) {
            Ok(process) if !process.ended => process,
            Ok(_) => return Err(format!("process {pid} has ended")),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(format!("there is no process {pid}"));
            }
            Err(e) => return Err(format!("process {pid} can't be seen: {e}")),
        };
        let mut subject = Subject {
            name: format!("process {pid}"),
            what: What::Tree(root),
        };
        subject.name = subject.name_now();
        Ok(subject)
    }

    /// What it is called now: a process may have become another program. It is to be there.
    pub(super) fn name_now(&self) -> String {
        match &self.what {
            What::Tree(root) => match name_of(root.pid) {
                Some(name) => format!("process {} ({name})", root.pid),
                None => self.name.clone(),
            },
            What::Group(_) => self.name.clone(),
        }
    }

    fn group(name: String, dir: &Path) -> Option<Subject> {
        (!pids_below(dir).is_empty()).then(|| Subject {
            name,
            what: What::Group(dir.to_owned()),
        })
    }

    /// What it is called in reports: `process 4711 (nginx)`, `nginx.service`, `container web`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// One of its processes, for what all of them share; `None` if it has ended.
    #[must_use]
    pub fn any_process(&self) -> Option<u32> {
        self.members().first().map(|process| process.pid)
    }

    /// Its processes now, this one excepted. Empty if it has ended.
    pub(super) fn members(&self) -> Vec<ProcessUsage> {
        match &self.what {
            What::Tree(root) => families(&[*root]),
            What::Group(dir) => {
                let own = std::process::id();
                let pids = pids_below(dir).into_iter().filter(|pid| *pid != own);
                pids.filter_map(|pid| ProcessUsage::read(pid).ok())
                    .filter(|process| !process.ended)
                    .collect()
            }
        }
    }

    /// The process that everything else of it descends from, if it is one.
    pub(super) fn root(&self) -> Option<&ProcessUsage> {
        match &self.what {
            What::Tree(root) => Some(root),
            What::Group(_) => None,
        }
    }
}

/// The name of a process, as the kernel has it.
pub(super) fn name_of(pid: u32) -> Option<String> {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(name.trim_end().to_owned())
}

/// A cgroup by its path: of its directory, or within a hierarchy.
fn of_path(text: &str, mounts: &[PathBuf]) -> Result<Subject, String> {
    let within = text.trim_start_matches('/');
    let whole = [PathBuf::from(text)].into_iter();
    let whole = whole.filter(|dir| mounts.iter().any(|mount| dir.starts_with(mount)));
    let mut dirs = whole.chain(mounts.iter().map(|mount| mount.join(within)));
    let found = dirs.find_map(|dir| Subject::group(format!("cgroup {text}"), &dir));
    found.ok_or_else(|| format!("'{text}' is no cgroup of this machine that has processes"))
}

/// All cgroups below `mounts`, those of the first ones first.
fn all_below(mounts: &[PathBuf]) -> Vec<PathBuf> {
    let mut all = Vec::new();
    let mut waiting: VecDeque<PathBuf> = mounts.iter().cloned().collect();
    while let Some(dir) = waiting.pop_front() {
        if all.len() >= CGROUPS {
            break;
        }
        waiting.extend(below(&dir));
        all.push(dir);
    }
    all
}

fn below(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    let dirs = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        entry.file_type().ok()?.is_dir().then(|| entry.path())
    });
    dirs.collect()
}

/// The processes of a cgroup and of those in it.
fn pids_below(dir: &Path) -> Vec<u32> {
    let mut found = Vec::new();
    for dir in all_below(&[dir.to_owned()]) {
        // That of a threaded cgroup can't be read: its processes are in the one above.
        let text = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
        found.extend(text.lines().filter_map(|pid| pid.parse::<u32>().ok()));
    }
    found.sort_unstable();
    found.dedup();
    // Processes of another PID namespace are shown as 0.
    found.retain(|pid| *pid != 0);
    found
}

fn file_name(dir: &Path) -> Option<&str> {
    dir.file_name()?.to_str()
}

/// The units that `text` names, with or without their kind. With cgroup v1, one is in several hierarchies, and counts once.
fn of_unit(text: &str, all: &[PathBuf]) -> BTreeMap<String, Subject> {
    let mut found = BTreeMap::new();
    for dir in all {
        let Some(name) = file_name(dir) else { continue };
        let kind = name.strip_prefix(text).and_then(|k| k.strip_prefix('.'));
        let is_unit = kind.is_some_and(|kind| UNITS.contains(&kind));
        if (name == text || is_unit) && !found.contains_key(name) {
            let subject = Subject::group(name.to_owned(), dir);
            found.extend(subject.map(|subject| (name.to_owned(), subject)));
        }
    }
    found
}

/// The containers whose id is `wanted`, each once.
fn of_ids(all: &[PathBuf], wanted: impl Fn(&str) -> bool) -> BTreeMap<String, Subject> {
    let mut found: BTreeMap<String, Subject> = BTreeMap::new();
    for dir in all {
        let id = file_name(dir).and_then(containers::id_of);
        let Some(id) = id.filter(|id| wanted(id) && !found.contains_key(*id)) else {
            continue;
        };
        let subject = Subject::group(format!("container {}", &id[..12]), dir);
        found.extend(subject.map(|subject| (id.to_owned(), subject)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    /// A hierarchy with cgroups that have these processes.
    fn hierarchy(groups: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, pids) in groups {
            let group = dir.path().join(name);
            fs::create_dir_all(&group).unwrap();
            fs::write(group.join("cgroup.procs"), pids).unwrap();
        }
        dir
    }

    fn names(found: &BTreeMap<String, Subject>) -> Vec<&str> {
        found.values().map(Subject::name).collect()
    }

    #[test]
    fn units_and_containers_are_found_by_name_and_id_if_they_have_processes() {
        let id = "3fa8".repeat(16);
        let container = format!("system.slice/docker-{id}.scope");
        let dir = hierarchy(&[
            ("system.slice/nginx.service", "11\n12\n"),
            ("system.slice/nginx.socket", "15\n"),
            ("system.slice/idle.service", ""),
            ("system.slice/web.service/worker", "13\n"),
            ("web.slice", "16\n"),
            (&container, "14\n0\n"),
        ]);
        let all = all_below(&[dir.path().to_owned()]);
        assert_eq!(names(&of_unit("nginx", &all)), ["nginx.service"]);
        assert_eq!(names(&of_unit("nginx.service", &all)), ["nginx.service"]);
        assert!(of_unit("ngin", &all).is_empty() && of_unit("idle", &all).is_empty());
        assert_eq!(names(&of_unit("web", &all)), ["web.service", "web.slice"]);
        let found = of_ids(&all, |known| known.starts_with("3fa8"));
        assert_eq!(names(&found), ["container 3fa83fa83fa8"]);
        assert_eq!(pids_below(&dir.path().join(&container)), [14]);
        assert_eq!(
            pids_below(&dir.path().join("system.slice")),
            [11, 12, 13, 14, 15]
        );
        let mounts = [dir.path().to_owned()];
        let of = of_path("/system.slice/nginx.service", &mounts).unwrap();
        assert_eq!(of.name(), "cgroup /system.slice/nginx.service");
        let error = of_path("/none", &mounts).unwrap_err();
        assert!(error.contains("'/none' is no cgroup"), "{error}");
    }

    #[test]
    fn what_is_not_there_is_refused_in_a_line() {
        for (text, part) in [
            ("4194305", "there is no process 4194305"),
            ("no-such-thing", "'no-such-thing' is no process id"),
            ("/no/such", "'/no/such' is no cgroup"),
            (&std::process::id().to_string(), "this throng itself"),
        ] {
            let error = Subject::find(text).unwrap_err();
            assert!(error.contains(part) && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_process_is_watched_with_what_it_started() {
        let script = "sleep 60 & read line";
        let mut child = Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let subject = Subject::find(&child.id().to_string()).unwrap();
        assert_eq!(subject.name(), format!("process {} (sh)", child.id()));
        assert!(crate::seen_in_a_quiet_moment(
            || subject.members().len() == 2
        ));
        let sleeping = subject.members();
        let sleeping = sleeping.iter().find(|p| p.pid != child.id()).unwrap();
        let killed = Command::new("kill").arg(sleeping.pid.to_string()).status();
        assert!(killed.unwrap().success());
        assert!(crate::seen_in_a_quiet_moment(
            || subject.members().len() == 1
        ));
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(subject.members().is_empty());
    }
}
