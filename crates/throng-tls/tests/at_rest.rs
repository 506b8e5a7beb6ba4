//! A secured connection keeps nothing on the heap when nothing happens on it: its keys lie in the engine's table.

use throng_core::behaviour::{At, Behaviour, Outbox};
use throng_core::capacity::UNTIL_TICKET_BYTES_PER_END;
use throng_core::protocol::raw::Sink;
use throng_core::stats::Counters;
use throng_core::time::Time;
use throng_tls::{
    ClientOptions, ClientTls, ServerOptions, ServerTls, Tls, TlsConn, Version, Versions,
};

#[global_allocator]
static HEAP: dhat::Alloc = dhat::Alloc;

const CONNECTIONS: usize = 200;
/// Bytes in the table of connections.
const IN_THE_TABLE: usize = 248;

struct Worker(Tls<Sink>, Counters);

impl Worker {
    fn event(
        &mut self,
        id: usize,
        event: impl FnOnce(&mut Tls<Sink>, &At, &mut Outbox),
    ) -> Vec<u8> {
        let at = At {
            id: id as u32,
            now: Time::START,
            up_us: 0,
            counters: &self.1,
        };
        let mut out = Outbox::default();
        event(&mut self.0, &at, &mut out);
        out.bytes
    }
}

#[test]
fn a_connection_keeps_its_session_and_nothing_else() {
    assert_eq!(size_of::<TlsConn<()>>(), IN_THE_TABLE);
    let _profiler = dhat::Profiler::builder().testing().build();
    for version in [Version::Tls12, Version::Tls13] {
        // Whether the client would resume, and whether the server issues tickets.
        for (resumption, tickets) in [(false, false), (true, true), (true, false)] {
            let versions = Versions {
                min: version,
                max: version,
            };
            let tls = ServerTls::new(&ServerOptions {
                versions,
                resumption: tickets,
                ..ServerOptions::default()
            });
            let tls = tls.unwrap();
            let client = ClientTls::new(&ClientOptions {
                names: vec!["localhost".into()],
                trusted: vec![tls.certificate().to_vec()],
                versions,
                resumption,
                ..ClientOptions::default()
            });
            let mut client = Worker(Tls::client(Sink, &client.unwrap()), Counters::default());
            let mut server = Worker(Tls::server(Sink, &tls), Counters::default());
            let mut conns = Vec::with_capacity(2 * CONNECTIONS);
            // The first ones fill what is the worker's own: stores of sessions, spare buffers.
            let (mut before, mut under_way) = (0, 0);
            for id in 0..CONNECTIONS + 20 {
                if id == 20 {
                    conns.clear();
                    before = dhat::HeapStats::get().curr_bytes;
                }
                let (mut c, mut s) = Default::default();
                let mut down = Vec::new();
                let mut up = client.event(id, |t, at, out| t.opened(&mut c, at, out));
                server.event(id, |t, at, out| t.opened(&mut s, at, out));
                under_way = dhat::HeapStats::get().curr_bytes;
                while !up.is_empty() || !down.is_empty() {
                    // A byte short, so that a part of a record has to be kept for a while.
                    let (early, late) = up.split_at(up.len().saturating_sub(1));
                    down = server.event(id, |t, at, out| t.received(&mut s, early, at, out));
                    down.extend(server.event(id, |t, at, out| t.received(&mut s, late, at, out)));
                    up = client.event(id, |t, at, out| t.received(&mut c, &down, at, out));
                    down.clear();
                }
                conns.push((c, s));
            }
            let after = dhat::HeapStats::get().curr_bytes;
            let all = (CONNECTIONS + 20) as u64;
            assert_eq!(client.1.read().tls.secured, all);
            assert_eq!(
                client.1.read().tls.resumed,
                if tickets { all - 1 } else { 0 }
            );
            let kept = after.saturating_sub(before);
            println!(
                "TLS {version}, resumption {resumption}, tickets {tickets}: {kept} bytes on the heap for all"
            );
            if resumption && !tickets && version == Version::Tls13 {
                // It may still arrive: what the plan assumes, since the heap has an overhead.
                let most = UNTIL_TICKET_BYTES_PER_END as usize;
                let each = kept / CONNECTIONS;
                assert!((most * 3 / 4..=most).contains(&each), "{each} bytes each");
                continue;
            }
            // Less than a byte a connection: lists that grow by doubling, tickets of which one is kept.
            assert!(kept < CONNECTIONS, "{kept} bytes");
            // The last one's handshake was there, so this counts.
            assert!(under_way > before + 3000, "{under_way}, {before}");
        }
    }
}
