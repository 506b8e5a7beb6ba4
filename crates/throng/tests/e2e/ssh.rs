//! A fleet over ssh(1): a real sshd of the test's own, with a configuration, a port and keys of its own.

use super::fleet::THRONG;
use crate::common::net::{Net, free_port};
use crate::common::peers::{installed, place};
use crate::common::process::{Process, Ran};
use crate::common::{PATIENCE, serve, stop_serving};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use tempfile::TempDir;

/// A machine that a fleet logs in to as `far`. It does not know the key of `stranger`, and nothing listens at `gone`.
struct Far {
    net: Net,
    files: TempDir,
    _sshd: Process,
}

impl Far {
    fn new() -> Far {
        // Root's sshd separates privileges, for which it wants a directory. That of another user can let in nobody else, and
        // not even that user in a user namespace.
        let as_root = rustix::process::geteuid().is_root();
        let (net, port) = match as_root {
            true => (Net::with_own_mounts(), 2222),
            false => (Net::host(), free_port()),
        };
        if as_root {
            net.shell("mount -t tmpfs none /run && mkdir -m 755 /run/sshd");
        }
        let files = tempfile::tempdir().unwrap();
        let at = |name: &str| files.path().join(name).to_str().unwrap().to_owned();
        for key in ["host", "known", "unknown"] {
            let mut command = installed(&net, "ssh-keygen");
            command.args(["-q", "-t", "ed25519", "-N", "", "-f", &at(key)]);
            assert!(command.status().unwrap().success());
        }
        // Where a login finds throng, and where the fleet finds an ssh that reads the configuration of this test.
        for directory in ["far", "near"] {
            fs::create_dir(at(directory)).unwrap();
        }
        symlink(THRONG, at("far/throng")).unwrap();
        let ssh = format!(
            "#!/bin/sh\nexec {} -F {} \"$@\"\n",
            place("ssh").display(),
            at("ssh_config")
        );
        fs::write(at("near/ssh"), ssh).unwrap();
        fs::set_permissions(at("near/ssh"), fs::Permissions::from_mode(0o755)).unwrap();
        let host_key = fs::read_to_string(at("host.pub")).unwrap();
        fs::write(at("known_hosts"), format!("far {host_key}")).unwrap();
        let host = |name: &str, port: u16, key: &str| {
            format!("Host {name}\n  Port {port}\n  IdentityFile {}\n", at(key))
        };
        let common = format!(
            "Host *\n  HostName 127.0.0.1\n  HostKeyAlias far\n  UserKnownHostsFile {}\n  IdentitiesOnly yes\n  IdentityAgent none\n",
            at("known_hosts")
        );
        let hosts = [
            host("far", port, "known"),
            host("stranger", port, "unknown"),
            host("gone", 1, "known"),
        ];
        fs::write(at("ssh_config"), hosts.concat() + &common).unwrap();
        let config = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\n\
             UsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
             SetEnv PATH={}:/usr/local/bin:/usr/bin:/bin\n",
            at("host"),
            at("known.pub"),
            at("far")
        );
        fs::write(at("sshd_config"), config).unwrap();
        let mut command = installed(&net, "sshd");
        command.args(["-D", "-e", "-f", &at("sshd_config")]);
        let mut sshd = Process::start("sshd".into(), command);
        sshd.wait_for_listener(&net, port);
        Far {
            net,
            files,
            _sshd: sshd,
        }
    }

    /// Runs a fleet with these words.
    fn fleet(&self, words: &str) -> Ran {
        let near = self.files.path().join("near");
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = self.net.command(THRONG);
        command.env("PATH", format!("{}:{path}", near.display()));
        command.args(["fleet", "run"]).args(words.split(' '));
        Process::start(format!("throng fleet run {words}"), command).wait(PATIENCE)
    }
}

#[test]
fn agents_are_started_on_machines_that_know_the_key() {
    let far = Far::new();
    let port = free_port();
    let server = serve(&far.net, &format!("127.0.0.1:{port}"));
    let load = format!("load -c 60 --hold 500ms --first-message x --output json 127.0.0.1:{port}");
    let ran = far.fleet(&format!("--agents ssh:far,far {load}"));
    let s = ran.reached();
    let agents = s.sources.iter().map(|s| (s.agent.as_deref(), s.peak));
    let expected = [(Some("far"), 30), (Some("far#2"), 30)];
    assert_eq!(agents.collect::<Vec<_>>(), expected, "{ran}");
    // A list of targets goes along, and the far shell leaves it as it is.
    for (options, code, why) in [
        ("--allow [::1]:* --agents ssh:far", 2, "far: 127.0.0.1:"),
        (
            "--agents ssh:stranger",
            1,
            "stranger: it ended with exit code 255 (",
        ),
        (
            "--agents ssh:far,gone",
            1,
            "gone: it ended with exit code 255 (ssh: connect to host 127.0.0.1 port 1",
        ),
    ] {
        let ran = far.fleet(&format!("{options} {load}"));
        assert_eq!((ran.code, ran.stdout.as_str()), (code, ""), "{ran}");
        assert!(ran.stderr.contains(why), "{why}: {ran}");
    }
    let server = stop_serving(server);
    assert_eq!(
        (server.connections.accepted, server.traffic.bytes_received),
        (Some(60), 60)
    );
}
