//! Received segments that the kernel drops because a socket has no room: told if they were many (`receive_drops`).

use crate::common::net::Net;
use crate::common::{load, serve, stop_serving};
use throng_core::summary::{Finding, Summary};

const ENGINES: [&str; 2] = ["uring", "epoll"];

/// A counter of the kernel for this network.
fn counter(net: &Net, name: &str) -> u64 {
    let text = net.shell(&format!("nstat -asz {name}"));
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// The segments that were dropped, and all that were received, as a finding has them.
fn told(summary: &Summary) -> Option<(u64, u64)> {
    summary.findings.iter().find_map(|finding| match finding {
        Finding::ReceiveDrops { segments, of, .. } => Some((*segments, *of)),
        _ => None,
    })
}

#[test]
fn what_does_not_fit_into_small_buffers_that_are_hardly_read_is_told() {
    // How many segments come before a buffer is full depends on how they are merged on their way.
    const ATTEMPTS: u32 = 5;
    for engine in ENGINES {
        let found = (0..ATTEMPTS).any(|_| {
            let net = Net::own();
            let server = serve(&net, "9000 --mode chargen -m 0123456789 -r 500");
            let ran = load(
                &net,
                &format!(
                    "127.0.0.1:9000 -c 200 --rcvbuf 2k --channel-bandwidth-downstream 10 --hold 2s --engine {engine}"
                ),
            );
            stop_serving(server);
            let dropped = ["TcpExtTCPRcvQDrop", "TcpExtTCPBacklogDrop"].map(|n| counter(&net, n));
            match told(&ran.summary()) {
                Some((segments, of)) => {
                    assert!(segments <= dropped.iter().sum(), "{dropped:?} {ran}");
                    assert!(segments >= 10 && of >= segments, "{ran}");
                    true
                }
                None => false,
            }
        });
        assert!(found, "{engine}: never told");
    }
}

#[test]
fn nothing_is_told_of_drops_where_data_is_read() {
    for engine in ENGINES {
        let net = Net::own();
        let server = serve(&net, "9000 --mode chargen -m 0123456789 -r 100");
        let ran = load(
            &net,
            &format!("127.0.0.1:9000 -c 50 --hold 1s --engine {engine}"),
        );
        stop_serving(server);
        assert_eq!(told(&ran.reached()), None, "{ran}");
    }
}
