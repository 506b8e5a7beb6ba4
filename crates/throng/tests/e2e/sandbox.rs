//! Under seccomp filters that forbid single system calls, and with few files.

use crate::common::net::Net;
use crate::common::process::{Process, Ran};
use crate::common::{PATIENCE, start_with_file_limit};
use std::fs;
use std::path::{Path, PathBuf};

/// Makes one system call fail with an errno, then becomes the rest of the command line.
const SANDBOX: &str = "
import ctypes, os, platform, struct, sys
numbers = {'io_uring_setup': (425, 425), 'io_uring_enter': (426, 426), 'io_uring_register': (427, 427),
           'prlimit64': (302, 261)}
number = numbers[sys.argv[1]][platform.machine() == 'aarch64']
code = [(0x20, 0, 0, 0),                                # The number,
        (0x15, 0, 1, number),                           # if it is this one:
        (0x06, 0, 0, 0x00050000 | int(sys.argv[2])),    # fail.
        (0x06, 0, 0, 0x7fff0000)]                       # Else go on.
code = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *line) for line in code))
program = struct.pack('HP', 4, ctypes.addressof(code))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.create_string_buffer(program)) == 0, os.strerror(ctypes.get_errno())
os.execv(sys.argv[3], sys.argv[3:])
";
const EPERM: &str = "1";
const ENOSYS: &str = "38";

/// Runs `throng load --self` with `args` to its end where `call` fails with `errno`.
fn load_without(call: &str, errno: &str, args: &str) -> Ran {
    let net = Net::own();
    let mut command = net.command("prlimit");
    command
        .args(["--nofile=200:4000", "python3", "-c", SANDBOX, call, errno])
        .arg(env!("CARGO_BIN_EXE_throng"))
        .args("load --self --output json --hold 100ms".split(' '))
        .args(args.split(' '));
    Process::start(format!("throng {args} without {call}"), command).wait(PATIENCE)
}

#[test]
fn without_one_of_io_urings_calls_the_engine_is_epoll_for_the_true_reason() {
    for (call, errno) in [
        ("io_uring_setup", EPERM),
        ("io_uring_setup", ENOSYS),
        ("io_uring_enter", EPERM),
        ("io_uring_enter", ENOSYS),
        ("io_uring_register", EPERM),
    ] {
        let ran = load_without(call, errno, "-c 50");
        let s = ran.reached();
        assert_eq!(s.engine.name(), "epoll", "{ran}");
        let warned = ran.stderr.contains("seccomp filter") && ran.stderr.contains(call);
        assert!(warned, "{call}: {ran}");
    }
    let ran = load_without("io_uring_enter", EPERM, "-c 50 --engine uring");
    assert!(ran.code == 2 && ran.stderr.contains("seccomp"), "{ran}");
}

/// A memory cgroup, of whichever version this machine has, removed at the end.
struct Cgroup(PathBuf);

impl Cgroup {
    fn with_memory(bytes: u64) -> Cgroup {
        let v1 = Path::new("/sys/fs/cgroup/memory");
        let (root, file) = match v1.is_dir() {
            true => (v1, "memory.limit_in_bytes"),
            false => (Path::new("/sys/fs/cgroup"), "memory.max"),
        };
        let cgroup = Cgroup(root.join(format!("throng-box-{}", std::process::id())));
        fs::create_dir(&cgroup.0).expect("root makes a cgroup");
        fs::write(cgroup.0.join(file), bytes.to_string()).expect("the memory controller is on");
        cgroup
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Sockets that the kernel still closes are charged to it; the directory can go all the same.
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn a_small_container_holds_what_it_says_that_it_can_and_says_why_not_more() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not tested: only root makes a cgroup");
        return;
    }
    let cgroup = Cgroup::with_memory(48 << 20);
    let procs = cgroup.0.join("cgroup.procs");
    let script = format!("echo $$ > {} && exec \"$@\"", procs.display());
    let run = |args: &str| {
        let net = Net::own();
        let mut command = net.command("sh");
        command
            .args(["-c", &script, "sh", "python3", "-c", SANDBOX])
            .args(["io_uring_setup", EPERM, env!("CARGO_BIN_EXE_throng")])
            .args("load --self --output json --hold 300ms".split(' '))
            .args(args.split(' '));
        Process::start(format!("throng {args} in a container"), command).wait(PATIENCE)
    };
    // Fewer than the hard limit on open files, which the tests need to be this much, allows.
    let ran = run("-c 9000");
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran}");
    assert!(ran.stderr.contains("cgroup's memory"), "{ran}");
    let (_, fits) = ran.stderr.split_once("at most ").expect("a number");
    let (fits, _) = fits.split_once(" connections fit").expect("a number");
    let fits: u32 = fits.replace(',', "").parse().expect("a number");
    assert!((2000..9000).contains(&fits), "{ran}");
    for message in ["", " -m hello -r 1"] {
        // A little less: what the cgroup has in use changes from run to run, pages of the program among it.
        let less = fits / 20 * 17;
        let ran = run(&format!("-c {less}{message}"));
        let s = ran.reached();
        assert_eq!(s.engine.name(), "epoll", "{ran}");
        assert!(ran.stderr.contains("forbids io_uring_setup"), "{ran}");
        assert_eq!(s.connections.open_at_end, u64::from(less), "{ran}");
    }
}

#[test]
fn without_prlimit_a_run_goes_on_with_the_limit_there_is() {
    for engine in ["uring", "epoll"] {
        let ran = load_without("prlimit64", EPERM, &format!("-c 50 --engine {engine}"));
        ran.reached();
        assert!(ran.stderr.contains("the run goes on with 200"), "{ran}");
    }
    let ran = load_without("prlimit64", EPERM, "-c 500 --engine epoll");
    let refused = ran.code == 2 && ran.stderr.contains("limit on open files is 200");
    assert!(refused, "{ran}");
}

#[test]
fn with_too_few_files_a_forced_run_goes_on_with_what_fits() {
    for (files, engine) in [(32, "uring"), (64, "epoll"), (32, "auto"), (24, "auto")] {
        let args = format!(
            "load --self -c 100k --engine {engine} --force --hold 100ms -T 5s -w 2 --output json"
        );
        let ran = start_with_file_limit(&Net::own(), files, &args).wait(PATIENCE);
        let s = ran.fell_short();
        assert!(s.connections.peak > 0, "{ran}");
    }
    let net = Net::own();
    let serving =
        "serve 9000 --max-connections 100k --engine uring --force --duration 3s -w 2 --output json";
    let serving = start_with_file_limit(&net, 24, serving);
    serving.wait_for_stderr("on engine");
    crate::common::load(
        &net,
        "-c 2000 --hold 100ms --force -T 2s -w 2 127.0.0.1:9000",
    );
    let s = serving.wait(PATIENCE);
    assert!(s.summary().connections.accepted > Some(24), "{s}");
}
