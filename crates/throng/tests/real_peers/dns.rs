//! DNS over TCP, against NSD.

use crate::ENGINES;
use crate::common::load;
use crate::common::net::Net;
use crate::common::peers::start_server;
use crate::common::process::Process;
use std::collections::BTreeMap;
use std::path::Path;

const ZONE: &str = "\
$ORIGIN example.com.
$TTL 300
@    SOA   ns hostmaster 1 3600 600 86400 300
     NS    ns
     A     192.0.2.1
     TXT   \"throng\"
ns   A     192.0.2.53
";

/// NSD on port 5353, which keeps its files in `at`.
fn nsd(net: &Net, at: &Path) -> Process {
    std::fs::write(at.join("example.com.zone"), ZONE).unwrap();
    let config = format!(
        "server:
    ip-address: 127.0.0.1@5353
    do-ip6: no
    username: \"\"
    zonesdir: \"{at}\"
    database: \"\"
    pidfile: \"\"
    xfrdfile: \"{at}/xfrd.state\"
    zonelistfile: \"{at}/zone.list\"
    xfrdir: \"{at}\"
    tcp-count: 1000
    tcp-timeout: 120
    server-count: 1
remote-control:
    control-enable: no
zone:
    name: example.com
    zonefile: example.com.zone
",
        at = at.display()
    );
    let file = at.join("nsd.conf");
    std::fs::write(&file, config).unwrap();
    start_server(net, "nsd", &["-d", "-c", file.to_str().unwrap()], 5353)
}

#[test]
fn every_query_has_its_answer_and_its_line() {
    let (net, directory) = (Net::own(), tempfile::tempdir().unwrap());
    let _nsd = nsd(&net, directory.path());
    let csv = directory.path().join("samples.csv");
    for engine in ENGINES {
        let ran = load(
            &net,
            &format!(
                "127.0.0.1:5353 --dns example.com/A --dns nowhere.example.com/AAAA --rate 1k -c 50 \
                 --samples {} --hold 2s --engine {engine}",
                csv.display()
            ),
        );
        let s = ran.reached();
        let (sent, answers) = (s.traffic.messages_sent, s.answers.unwrap());
        let dns = s.protocols.dns.unwrap();
        // The whole run also has what was sent before its hold began, however long that took.
        assert!(sent >= s.message_rate.as_ref().unwrap().messages, "{ran}");
        assert_eq!(answers.received, sent, "{ran}");
        assert_eq!(
            (answers.unanswered, answers.unasked, dns.not_dns),
            (0, 0, 0),
            "{ran}"
        );
        let csv = std::fs::read_to_string(&csv).unwrap();
        let mut lines = csv.lines();
        assert_eq!(
            lines.next(),
            Some("sent_s,rtt_us,connection,query,rcode,truncated,ping")
        );
        let mut rcodes: BTreeMap<&str, u64> = BTreeMap::new();
        let mut connections: BTreeMap<&str, u64> = BTreeMap::new();
        for line in lines {
            let fields: Vec<&str> = line.split(',').collect();
            *rcodes.entry(fields[4]).or_default() += 1;
            *connections.entry(fields[2]).or_default() += 1;
            assert!(fields[1].parse::<f64>().unwrap() > 0.0, "{line}");
        }
        assert_eq!(rcodes.values().sum::<u64>(), sent, "a line for each answer");
        // NXDOMAIN is 3. Each connection asks the two in turn.
        assert_eq!(rcodes.get("3"), Some(&answers.with_error), "{rcodes:?}");
        let errors = BTreeMap::from([("NXDOMAIN".to_owned(), answers.with_error)]);
        assert_eq!(answers.errors, errors, "{ran}");
        assert!(rcodes["3"].abs_diff(sent / 2) <= 50, "{rcodes:?}");
        assert_eq!(rcodes.len(), 2, "{rcodes:?}");
        assert_eq!(connections.len(), 50);
    }
}

#[test]
fn queries_wait_for_answers_unless_a_rate_is_given() {
    let (net, directory) = (Net::own(), tempfile::tempdir().unwrap());
    let _nsd = nsd(&net, directory.path());
    for engine in ENGINES {
        let line = "127.0.0.1:5353 --dns example.com/A -c 20 --hold 1s --engine";
        let ran = load(&net, &format!("{line} {engine}"));
        let s = ran.reached();
        let took = s.latency.service.as_ref().expect("answers came");
        assert!(took.p50_us < 1e6, "nothing waits in buffers: {ran}");
        assert!(s.answers.unwrap().received >= 200, "{ran}");
    }
}

#[test]
fn a_closed_loop_asks_again_when_it_was_answered() {
    let (net, directory) = (Net::own(), tempfile::tempdir().unwrap());
    let _nsd = nsd(&net, directory.path());
    for engine in ENGINES {
        let ran = load(
            &net,
            &format!(
                "127.0.0.1:5353 --dns example.com/TXT --edns -c 20 --closed-loop --hold 1s --engine {engine}"
            ),
        );
        let s = ran.reached();
        let (answers, dns) = (s.answers.unwrap(), s.protocols.dns.unwrap());
        assert!(answers.received >= 200, "{ran}");
        assert!(s.traffic.messages_sent - answers.received <= 20, "{ran}");
        assert_eq!(
            (answers.with_error, answers.unasked, dns.not_dns),
            (0, 0, 0),
            "{ran}"
        );
    }
}

#[test]
fn what_is_no_dns_is_reported_and_not_hammered() {
    let net = Net::own();
    let _server = crate::common::serve(&net, "127.0.0.1:5353 --mode chargen -m AAAAAAAAAAAAAAAA");
    for engine in ENGINES {
        let ran = load(
            &net,
            &format!(
                "127.0.0.1:5353 --dns example.com/A -r 5 -c 5 --hold 1s -T 2s --engine {engine}"
            ),
        );
        let s = ran.summary();
        assert!(s.protocols.dns.unwrap().not_dns >= 5, "{ran}");
        // Each connection is tried again after 200 ms on average.
        assert!(s.connections.attempted <= 5 * (2000 / 200 + 5), "{ran}");
    }
}
