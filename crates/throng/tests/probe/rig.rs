//! A near network, a router and a far network with the far end of probes.

use crate::common::net::Net;
use crate::common::peers::installed;
use crate::common::process::{Process, Ran};
use crate::common::{run, start};
use serde_json::Value;
use std::fs;
use tempfile::TempDir;

/// The far end's address, as the near network reaches it through the router.
pub const FAR_END: &str = "10.78.2.2:9000";

/// Two networks and a router: near is 10.78.1.2, far is 10.78.2.2, the router is .1 in both.
pub struct Path {
    pub near: Net,
    pub router: Net,
    pub far: Net,
    _far_end: Process,
}

/// A routed path without translation. `prepare` is run on the router before the far end starts.
pub fn routed(prepare: &str) -> Path {
    let (near, router, far) = (Net::own(), Net::own(), Net::own());
    for (net, n) in [(&near, 1), (&far, 2)] {
        router.shell(&format!(
            "ip link add to{n} type veth peer name eth netns {} && ip addr add 10.78.{n}.1/24 dev to{n} && ip link set to{n} up",
            net.pid()
        ));
        net.shell(&format!(
            "ip addr add 10.78.{n}.2/24 dev eth && ip link set eth up && ip route add default via 10.78.{n}.1"
        ));
    }
    router.shell("echo 1 > /proc/sys/net/ipv4/ip_forward");
    if !prepare.is_empty() {
        router.shell(prepare);
    }
    let far_end = start(&far, "probe --server 10.78.2.2:9000");
    far_end.wait_for_stderr("listens on");
    Path {
        near,
        router,
        far,
        _far_end: far_end,
    }
}

impl Path {
    /// Probes from the near network.
    pub fn probe(&self, args: &str) -> Ran {
        run(&self.near, &format!("probe --output json {args}"))
    }
}

/// The result that a probe printed.
#[track_caller]
pub fn result(ran: &Ran) -> Value {
    assert_eq!(ran.code, 0, "{ran}");
    serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {ran}"))
}

/// The kinds of a result's findings.
pub fn kinds(result: &Value) -> Vec<&str> {
    let findings = result["findings"].as_array().expect("a list");
    findings.iter().filter_map(|f| f["kind"].as_str()).collect()
}

/// nginx on the router, from 10.78.1.1:9100 to the far end, which ends connections that are idle for so many seconds.
pub fn nginx(path: &Path, proxy_timeout_s: u64) -> (Process, TempDir) {
    let directory = tempfile::tempdir().expect("a directory");
    let config = directory.path().join("nginx.conf");
    // Debian has it as a module, others build it in.
    let module = "/usr/lib/nginx/modules/ngx_stream_module.so";
    let load = match fs::exists(module) {
        Ok(true) => format!("load_module {module};\n"),
        _ => String::new(),
    };
    let text = format!(
        "{load}daemon off;\npid {}/pid;\nerror_log stderr;\nevents {{ worker_connections 4000; }}\n\
         stream {{ server {{ listen 10.78.1.1:9100; proxy_pass {FAR_END}; proxy_timeout {proxy_timeout_s}s; }} }}\n",
        directory.path().display()
    );
    fs::write(&config, text).expect("a file of the test");
    let mut command = installed(&path.router, "nginx");
    command.arg("-c").arg(&config).args(["-e", "stderr"]);
    let mut process = Process::start("nginx".into(), command);
    process.wait_for_listener(&path.router, 9100);
    (process, directory)
}

/// HAProxy on the router, from 10.78.1.1:9100 to the far end, with these `timeout` lines.
pub fn haproxy(path: &Path, timeouts: &str) -> (Process, TempDir) {
    let directory = tempfile::tempdir().expect("a directory");
    let config = directory.path().join("haproxy.cfg");
    let text = format!(
        "global\n  maxconn 4000\ndefaults\n  mode tcp\n  timeout connect 5s\n{timeouts}\n\
         listen probe\n  bind 10.78.1.1:9100\n  server far {FAR_END}\n"
    );
    fs::write(&config, text).expect("a file of the test");
    let mut command = installed(&path.router, "haproxy");
    command.arg("-db").arg("-f").arg(&config);
    let mut process = Process::start("haproxy".into(), command);
    process.wait_for_listener(&path.router, 9100);
    (process, directory)
}
