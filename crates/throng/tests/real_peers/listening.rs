//! Both ends in one process (`-l`), and two processes of ours: markers, chargen, bandwidth.

use crate::ENGINES;
use crate::common::net::Net;
use crate::common::{PATIENCE, assert_near, load, serve, start_load, stop_serving};
use throng_core::summary::Summary;

#[test]
fn a_load_accepts_its_own_connections() {
    for engine in ENGINES {
        for mode in ["silent", "active"] {
            let net = Net::own();
            let ran = load(
                &net,
                &format!(
                    "127.0.0.1:9000 -l 127.0.0.1:9000 --listen-mode {mode} -c 20 -m hello -r 20 --hold 1s \
                     --engine {engine}"
                ),
            );
            let s = ran.reached();
            let accepted = s.server_traffic.unwrap();
            assert_eq!(s.connections.accepted, Some(20), "{ran}");
            assert!(s.traffic.messages_sent >= 380, "{ran}");
            assert_eq!(accepted.bytes_received, s.traffic.bytes_sent, "{ran}");
            assert_eq!(accepted.bytes_sent, s.traffic.bytes_received, "{ran}");
            match mode {
                "silent" => assert_eq!(accepted.bytes_sent, 0, "{ran}"),
                _ => assert_near("messages", accepted.messages_sent as f64, 400.0, 0.1),
            }
        }
    }
}

#[test]
fn markers_tell_another_process_how_old_messages_are() {
    for engine in ENGINES {
        // From whom we connect to …
        let net = Net::own();
        let server = serve(
            &net,
            &format!(
                r"127.0.0.1:9000 --mode chargen -e -m x\{{message.marker}}\n -r 50 --engine {engine}"
            ),
        );
        let ran = load(
            &net,
            &format!("127.0.0.1:9000 -c 10 --message-marker --hold 2s --engine {engine}"),
        );
        let s = ran.reached();
        let marked = s.latency.marked.unwrap();
        assert_eq!(s.traffic.bytes_received, s.traffic.replies * 32, "{ran}");
        let sent = stop_serving(server).traffic;
        assert!(sent.messages_sent >= marked.count, "{ran}");
        // Those of the last moment are on their way when the connections close.
        assert_near(
            "markers",
            marked.count as f64,
            sent.messages_sent as f64,
            0.1,
        );

        // … and from who connects to us.
        let mut listener = start_load(
            &net,
            &format!("-l 127.0.0.1:9001 --message-marker --hold 30s --engine {engine}"),
        );
        listener.wait_for_listener(&net, 9001);
        let ran = load(
            &net,
            &format!(
                r"127.0.0.1:9001 -c 10 -r 50 -m \{{message.marker}} --hold 1s --engine {engine}"
            ),
        );
        let sent = ran.reached().traffic.messages_sent;
        listener.signal(rustix::process::Signal::INT);
        let ran = listener.wait(PATIENCE);
        let s: Summary = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(s.latency.marked.unwrap().count, sent, "{ran}");
    }
}

#[test]
fn what_is_read_slowly_is_felt_by_the_sender() {
    for engine in ENGINES {
        let net = Net::own();
        let message = "x".repeat(1000);
        let server = serve(
            &net,
            &format!("127.0.0.1:9000 --mode chargen -m {message} --engine {engine}"),
        );
        let ran = load(
            &net,
            &format!(
                "127.0.0.1:9000 -c 4 --channel-bandwidth-downstream 100kBps --rcvbuf 16k --hold 3s \
                 --engine {engine}"
            ),
        );
        let s = ran.reached();
        let kept = s.bandwidth.unwrap();
        assert_eq!(kept.asked_received_per_s, Some(400_000.0), "{ran}");
        assert_near("bytes a second", kept.received_per_s, 400_000.0, 0.05);
        let sent = stop_serving(server).traffic.bytes_sent;
        // The rest lies in both kernels' buffers.
        assert!(sent >= s.traffic.bytes_received, "{sent}: {ran}");
        assert!(
            sent < s.traffic.bytes_received + 4 * (6 << 20),
            "{sent}: {ran}"
        );
    }
}

#[test]
fn nothing_is_ever_read_if_that_is_asked_for() {
    for engine in ENGINES {
        let net = Net::own();
        let server = serve(
            &net,
            &format!("127.0.0.1:9000 --mode chargen -m hello --engine {engine}"),
        );
        let ran = load(
            &net,
            &format!(
                "127.0.0.1:9000 -c 4 --channel-bandwidth-downstream 0 --channel-lifetime 500ms --hold 1800ms \
                 --engine {engine}"
            ),
        );
        let s = ran.summary();
        assert_eq!(s.traffic.bytes_received, 0, "{ran}");
        assert!(s.connections.established >= 4 * 3, "{ran}");
        let served = stop_serving(server);
        // None stays behind: each that was closed here ended there.
        let c = &served.connections;
        assert_eq!(c.accepted, Some(s.connections.established), "{c:#?}");
        assert!(served.traffic.bytes_sent > 0);
    }
}

#[test]
fn upstream_bandwidth_is_kept_whatever_the_size_of_messages() {
    for engine in ENGINES {
        for message in ["0123456789", &"x".repeat(100_000)] {
            let net = Net::own();
            let server = serve(&net, &format!("127.0.0.1:9000 --engine {engine}"));
            let ran = load(
                &net,
                &format!(
                    "127.0.0.1:9000 -c 4 --channel-bandwidth-upstream 2Mbps -m {message} --hold 3s \
                     --engine {engine}"
                ),
            );
            let s = ran.reached();
            let kept = s.bandwidth.unwrap();
            assert_eq!(kept.asked_sent_per_s, Some(1_000_000.0), "{ran}");
            assert_near("bytes a second", kept.sent_per_s, 1_000_000.0, 0.05);
            let received = stop_serving(server).traffic.bytes_received;
            assert_eq!(received, s.traffic.bytes_sent, "{ran}");
        }
    }
}
