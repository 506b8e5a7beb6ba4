//! The names of containers, as Docker and Podman keep them on disk: no engine has to be asked.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The length of an id, in hexadecimal digits.
const ID: usize = 64;
/// Fewer digits of an id could be a word.
const SHORTEST: usize = 4;

/// The id of the container that a cgroup of this name belongs to: `docker-ID.scope`, `libpod-ID`, `ID`. `None` also for that of
/// Podman's monitor, which is not in the container.
pub(super) fn id_of(cgroup: &str) -> Option<&str> {
    let name = cgroup.strip_suffix(".scope").unwrap_or(cgroup);
    let (engine, id) = name.rsplit_once('-').unwrap_or(("", name));
    (is_hex(id) && id.len() == ID && !engine.ends_with("conmon")).then_some(id)
}

/// Whether `text` may be the beginning of an id.
pub(super) fn may_be_id(text: &str) -> bool {
    (SHORTEST..=ID).contains(&text.len()) && is_hex(text)
}

fn is_hex(text: &str) -> bool {
    let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    text.bytes().all(digit)
}

/// The ids of the containers of this name, of all engines whose files can be read.
pub(super) fn named(name: &str) -> Vec<String> {
    let mut found = of_docker(Path::new("/var/lib/docker"), name);
    let mut stores = vec![PathBuf::from("/var/lib/containers/storage")];
    let home = std::env::var_os("HOME").map(PathBuf::from);
    stores.extend(home.map(|home| home.join(".local/share/containers/storage")));
    for store in stores {
        found.extend(of_podman(&store, name));
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// What Docker keeps of a container.
#[derive(Deserialize)]
struct OfDocker {
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "Name")]
    name: String,
}

fn of_docker(root: &Path, name: &str) -> Vec<String> {
    let all = fs::read_dir(root.join("containers")).into_iter().flatten();
    let configured = all.filter_map(|entry| {
        let text = fs::read(entry.ok()?.path().join("config.v2.json")).ok()?;
        serde_json::from_slice::<OfDocker>(&text).ok()
    });
    configured
        .filter(|container| container.name.trim_start_matches('/') == name)
        .map(|container| container.id)
        .collect()
}

/// What Podman keeps of a container.
#[derive(Deserialize)]
struct OfPodman {
    id: String,
    #[serde(default)]
    names: Vec<String>,
}

fn of_podman(store: &Path, name: &str) -> Vec<String> {
    let drivers = ["overlay-containers", "vfs-containers", "btrfs-containers"];
    let files = ["containers.json", "volatile-containers.json"];
    let paths = drivers
        .iter()
        .flat_map(|driver| files.map(|file| store.join(driver).join(file)));
    let lists = paths.filter_map(|path| {
        let text = fs::read(path).ok()?;
        serde_json::from_slice::<Vec<OfPodman>>(&text).ok()
    });
    lists
        .flatten()
        .filter(|container| container.names.iter().any(|known| known == name))
        .map(|container| container.id)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cgroup_s_name_has_the_id_of_its_container() {
        let id = "3f".repeat(32);
        for (cgroup, found) in [
            (format!("docker-{id}.scope"), true),
            (format!("libpod-{id}"), true),
            (format!("cri-containerd-{id}.scope"), true),
            (id.clone(), true),
            (format!("libpod-conmon-{id}.scope"), false),
            (format!("docker-{}.scope", &id[1..]), false),
            ("nginx.service".into(), false),
        ] {
            assert_eq!(id_of(&cgroup), found.then_some(&*id), "{cgroup}");
        }
        assert!(may_be_id("3f3f") && !may_be_id("web") && !may_be_id("3f"));
        assert!(!may_be_id("nginx.service"));
    }

    #[test]
    fn names_are_found_in_the_files_of_engines() {
        let dir = tempfile::tempdir().unwrap();
        let of = dir.path().join("containers/abc");
        fs::create_dir_all(&of).unwrap();
        let text = r#"{"StreamConfig":{},"ID":"abc","Name":"/web","State":{"Running":true}}"#;
        fs::write(of.join("config.v2.json"), text).unwrap();
        fs::create_dir_all(dir.path().join("containers/broken")).unwrap();
        assert_eq!(of_docker(dir.path(), "web"), ["abc"]);
        assert!(of_docker(dir.path(), "we").is_empty());

        let of = dir.path().join("overlay-containers");
        fs::create_dir_all(&of).unwrap();
        let text = r#"[{"id":"d1","names":["db","db2"],"layer":"x"},{"id":"e2"}]"#;
        fs::write(of.join("containers.json"), text).unwrap();
        assert_eq!(of_podman(dir.path(), "db2"), ["d1"]);
        assert!(of_podman(dir.path(), "web").is_empty());
    }
}
