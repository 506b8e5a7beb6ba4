//! Runs that need the machine for themselves: a hundred thousand connections, and rates to keep.
//!
//! A binary of its own, so that `cargo test` runs it apart from the others; within it one at a time.

#[path = "../common/mod.rs"]
mod common;

use common::net::Net;
use common::{
    assert_near, failed, load, lost, serve, start_load, start_with_file_limit, stop_serving,
};
use rustix::process::Signal;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// For runs of this size on a machine that is busy with other things.
const LONG: Duration = Duration::from_secs(120);

/// Waits for the machine. A test that failed has left it all the same.
fn alone() -> MutexGuard<'static, ()> {
    static MACHINE: Mutex<()> = Mutex::new(());
    MACHINE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn under_a_hard_limit_of_4096_files_100_000_connections_to_itself_are_established() {
    let _machine = alone();
    let net = Net::own();
    let args = "load --self -c 100k --hold 1s --output json";
    let ran = start_with_file_limit(&net, 4096, args).wait(LONG);
    let s = ran.reached();
    let c = &s.connections;
    assert_eq!(s.engine.name(), "uring", "{ran}");
    assert_eq!(
        (c.established, c.accepted),
        (100_000, Some(100_000)),
        "{ran}"
    );
    assert_eq!(
        (c.peak, c.open_at_end, failed(&s)),
        (100_000, 100_000, 0),
        "{ran}"
    );
    assert_eq!(c.kernel_sockets, Some(200_000), "{ran}");
    let each = s.cost.user_bytes_per_connection.expect("enough to divide");
    assert!(
        each <= 128.0,
        "{each} bytes of user memory a connection, both ends"
    );
}

#[test]
fn after_100_000_connections_nothing_is_left_in_the_kernel() {
    let _machine = alone();
    let net = Net::own();
    load(&net, "--self -c 100k --hold 0s").reached();
    let left = net.shell("ss -Hant | wc -l");
    assert_eq!(left.trim(), "0", "sockets are left when throng has ended");
}

#[test]
fn paced_messages_on_10_000_connections_keep_their_rate_and_all_arrive() {
    let _machine = alone();
    let net = Net::own();
    let ran = load(&net, "--self -c 10k -m x -r 1 --hold 5s");
    let s = ran.reached();
    assert_eq!(
        failed(&s) + lost(&s) + s.traffic.messages_unsent,
        0,
        "{ran}"
    );
    assert_eq!(s.traffic.messages_sent, s.traffic.bytes_sent, "{ran}");
    let server = s.server_traffic.expect("there is a server of our own");
    assert_eq!(server.bytes_received, s.traffic.bytes_sent, "{ran}");
    let rate = s.message_rate.as_ref().expect("messages were sent");
    assert_near("the rate", rate.reached_per_s, 10_000.0, 0.01);
    assert!(rate.lateness.expect("paced").p99_us < 100_000.0, "{ran}");
    let up = s.set_up.expect("a load has a set-up").seconds;
    for second in s.over_time.iter().filter(|o| o.at_s - 1.0 > up).take(4) {
        assert_near("a second's messages", second.messages_per_s, 10_000.0, 0.1);
    }
}

#[test]
fn a_closed_loop_over_10_000_connections_gives_every_byte_back() {
    let _machine = alone();
    let net = Net::own();
    let ran = load(
        &net,
        "--self=echo -c 10k -m 0123456789abcdef --closed-loop --hold 2s",
    );
    let s = ran.reached();
    assert!(s.traffic.replies >= 10_000, "{ran}");
    assert_eq!(s.traffic.bytes_received, s.traffic.bytes_sent, "{ran}");
    assert_eq!(s.traffic.replies * 16, s.traffic.bytes_sent, "{ran}");
}

#[test]
fn a_server_in_another_process_is_killed_while_100_000_connections_are_held() {
    let _machine = alone();
    let net = Net::own();
    let server = serve(&net, "127.0.0.1:9000");
    let client = start_load(
        &net,
        "127.0.0.1:9000 -c 100k --hold 60s --connect-timeout 1s",
    );
    let line = client.wait_for_stderr("100,000 of 100,000, holding");
    server.signal(Signal::KILL);
    let ran = client.wait(LONG);
    let s = ran.fell_short();
    let c = &s.connections;
    assert_eq!((c.peak, c.open_at_end), (100_000, 0), "{line}\n{ran}");
    // The kernel takes the dead server's connections down one by one, and its listener at some time
    // between: what was opened again until then is lost as well.
    assert!(lost(&s) == c.established && lost(&s) >= 100_000, "{ran}");
    assert!(
        s.seconds < 60.0,
        "it does not wait for the hold's end: {ran}"
    );
}

#[test]
fn a_pause_of_the_server_loses_nothing_of_5_000_paced_connections() {
    let _machine = alone();
    let net = Net::own();
    let server = serve(&net, "127.0.0.1:9000");
    let client = start_load(&net, "127.0.0.1:9000 -c 5k -m hello -r 1 --hold 7s");
    client.wait_for_stderr("holding");
    server.signal(Signal::STOP);
    std::thread::sleep(Duration::from_secs(3));
    server.signal(Signal::CONT);
    let ran = client.wait(LONG);
    let s = ran.reached();
    assert_eq!((lost(&s), s.traffic.messages_unsent), (0, 0), "{ran}");
    let served = stop_serving(server);
    assert_eq!(served.traffic.bytes_received, s.traffic.bytes_sent, "{ran}");
}

#[test]
fn one_port_on_loopback_takes_30_000_connections_without_a_source_address() {
    let _machine = alone();
    let net = Net::own();
    let server = serve(&net, "127.0.0.1:9000");
    let ran = load(&net, "127.0.0.1:9000 -c 30k --hold 1s");
    let s = ran.reached();
    assert_eq!(
        (s.connections.attempted, s.connections.peak),
        (30_000, 30_000),
        "{ran}"
    );
    let served = stop_serving(server);
    assert_eq!(
        (served.connections.accepted, served.connections.peak),
        (Some(30_000), 30_000)
    );
}

#[test]
fn epoll_holds_as_many_as_the_file_limit_allows() {
    let _machine = alone();
    let net = Net::own();
    // Both ends need a file each.
    let args = "load --self=echo -c 4k -m x -r 1 --hold 1s --engine epoll --output json";
    let ran = start_with_file_limit(&net, 8192, args).wait(LONG);
    let s = ran.reached();
    assert_eq!(s.connections.kernel_sockets, Some(8000), "{ran}");
    assert_eq!(s.traffic.bytes_received, s.traffic.bytes_sent, "{ran}");
}

#[test]
fn a_signal_while_50_000_connections_are_held_ends_them_within_seconds() {
    let _machine = alone();
    for twice in [false, true] {
        let net = Net::own();
        let run = start_load(&net, "--self -c 50k --hold 60s");
        run.wait_for_stderr("holding");
        run.signal(Signal::INT);
        if twice {
            // One that comes sooner counts as the same signal.
            std::thread::sleep(Duration::from_millis(250));
            run.signal(Signal::INT);
        }
        let ran = run.wait(Duration::from_secs(30));
        assert_eq!(ran.code, 130, "{ran}");
        assert_eq!(ran.stdout.is_empty(), twice, "{ran}");
        if !twice {
            let s = ran.summary();
            assert!(s.interrupted && s.closing_s < 10.0, "{ran}");
            assert_eq!(s.connections.closed_by_us, 50_000, "{ran}");
        }
    }
}

#[test]
fn connections_are_opened_at_the_rate_asked_for() {
    let _machine = alone();
    let net = Net::own();
    for engine in ["uring", "epoll"] {
        let ran = load(
            &net,
            &format!("--self -c 2000 --connect-rate 500 --hold 0s --engine {engine}"),
        );
        let s = ran.reached();
        let set_up = s.set_up.as_ref().expect("a load has a set-up");
        assert_near("the rate", set_up.per_s, 500.0, 0.15);
        // Evenly, too: not in a burst each second or at the end. The last sample is a short one.
        for sample in &s.over_time[..3] {
            assert_near("a second's rate", sample.established_per_s, 500.0, 0.3);
        }
    }
}

#[test]
fn messages_of_all_connections_are_spread_evenly_over_time() {
    let _machine = alone();
    let net = Net::own();
    let server = serve(&net, "127.0.0.1:9000");
    // Every five seconds each: if all sent together, four samples in five would have none.
    let ran = load(&net, "127.0.0.1:9000 -c 2000 -m x -r 0.2 --hold 6s");
    let s = ran.reached();
    let up = s.set_up.expect("a load has a set-up").seconds;
    let whole_seconds = s.over_time.iter().filter(|o| o.at_s - 1.0 > up);
    let rates: Vec<f64> = whole_seconds.map(|o| o.messages_per_s).take(5).collect();
    assert_eq!(rates.len(), 5, "{ran}");
    for rate in &rates {
        assert_near("a second's messages", *rate, 400.0, 0.1);
    }
    let rate = s.message_rate.expect("messages were sent");
    assert_eq!(rate.asked_per_s, Some(400.0));
    assert_near("the rate", rate.reached_per_s, 400.0, 0.02);
    assert_eq!(
        rate.lateness.expect("they were paced").count,
        s.traffic.messages_sent
    );
    let served = stop_serving(server);
    assert_eq!(served.traffic.bytes_received, s.traffic.bytes_sent);
}
