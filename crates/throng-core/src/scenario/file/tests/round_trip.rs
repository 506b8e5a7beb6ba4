//! Every scenario is written to the file that reads back as the same, and every key is documented.

use super::super::write;
use super::{files, read_set};
use crate::address::ClientRange;
use crate::engine::EngineChoice;
use crate::payload::{Message, Messages};
use crate::protocol::dns::DnsAsked;
use crate::protocol::http::{HttpAsked, Listed};
use crate::protocol::mqtt::{MqttAsked, Version};
use crate::protocol::proxy::Balance;
use crate::protocol::proxy_protocol;
use crate::protocol::websocket::{Subprotocol, WebSocketAsked};
use crate::protocol::{Protocol, Says, ServeMode};
use crate::scenario::*;
use crate::shard::Shard;
use crate::units::{Bandwidth, Rate};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::time::Duration;

fn message() -> BoxedStrategy<Message> {
    let text = select(
        &[
            "ping",
            r"GET /\{connection.uid%10%3} HTTP/1.1\r\n\r\n",
            r#"'"""'''\\{}"#,
            r"\{re [a-z]{8}}\{global.re x|y}",
            r#"\{ws.text "a" {message.marker} ... rsv2}"#,
            r"\{raw {connection.ptr}}",
            "two\nlines\r\n",
        ][..],
    );
    prop_oneof![
        text.prop_map(|text| Message::from_text(text, &files).unwrap()),
        vec(any::<u8>(), 1..20).prop_map(Message::from),
    ]
    .boxed()
}

fn messages(most: usize) -> BoxedStrategy<Messages> {
    let first = vec(message(), 0..2);
    (first, vec(message(), 1..=most))
        .prop_map(|(first, repeated)| Messages { first, repeated })
        .boxed()
}

fn rate() -> BoxedStrategy<Rate> {
    prop_oneof![1e-9..1e9, (1u32..1_000_000).prop_map(f64::from)]
        .prop_map(|n| Rate::per_second(n).unwrap())
        .boxed()
}

fn bandwidth() -> BoxedStrategy<Bandwidth> {
    prop_oneof![1e-3..1e15, (1u32..).prop_map(f64::from)]
        .prop_map(|n| Bandwidth::bytes_per_second(n).unwrap())
        .boxed()
}

fn span() -> BoxedStrategy<Duration> {
    let nanos = 1..=100 * 365 * 86_400 * 1_000_000_000u64;
    prop_oneof![
        nanos.prop_map(Duration::from_nanos),
        (1..100_000u64).prop_map(Duration::from_millis)
    ]
    .boxed()
}

fn sending() -> BoxedStrategy<Sending> {
    let search = (
        select(&["10ms", "0.5s", "2"][..]),
        select(&["", ":p99.9"][..]),
    );
    let profile = select(&["10s:1k", "1ms:0, 30s:1k..50.5k,1d:7"][..]);
    let run = prop_oneof![
        rate().prop_map(RunRate::Constant),
        profile.prop_map(|text| RunRate::Profile(text.parse().unwrap())),
        Just(RunRate::Stdin),
    ];
    let arrivals = select(&[Arrivals::Uniform, Arrivals::Poisson][..]);
    prop_oneof![
        Just(Sending::Flood),
        rate().prop_map(Sending::PerConnection),
        bandwidth().prop_map(Sending::Bandwidth),
        option::of(1..1000u32).prop_map(|in_flight| Sending::ClosedLoop { in_flight }),
        (run, arrivals).prop_map(|(rate, arrivals)| Sending::WholeRun { rate, arrivals }),
        (search, option::of(1..9u32)).prop_map(|((under, percentile), hours)| {
            match format!("@{under}{percentile}").parse().unwrap() {
                MessageRate::Under(search) => Sending::Search(Search {
                    at_most: hours.map(|h| Duration::from_secs(3600) * h),
                    ..search
                }),
                MessageRate::Fixed(_) => unreachable!("it has an @"),
            }
        }),
    ]
    .boxed()
}

fn pace() -> BoxedStrategy<Pace> {
    let writes = select(&[Writes::Combined, Writes::Single, Writes::Packets][..]);
    let delay = prop_oneof![Just(Duration::ZERO), span()];
    (
        sending(),
        option::of(1..u32::MAX),
        option::of(bandwidth()),
        delay,
        any::<bool>(),
        writes,
    )
        .prop_map(
            |(sending, requests, downstream, delay, after_ramp, writes)| Pace {
                requests: requests.filter(|_| sending.search().is_none()),
                sending,
                downstream,
                delay,
                after_ramp,
                writes,
            },
        )
        .boxed()
}

fn measure() -> BoxedStrategy<Measure> {
    let message = prop_oneof![
        message().prop_map(MessageLatency::Marker),
        Just(MessageLatency::MessageMarker),
        Just(MessageLatency::Echo),
    ];
    (
        message,
        any::<(u32, bool, bool, bool, bool)>(),
        option::of(vec(any::<u8>(), 1..20)),
    )
        .prop_map(
            |(message, (skip, first_byte, samples, found, begun), stop_at)| Measure {
                message: Some(message),
                skip,
                first_byte,
                samples,
                stop_at,
                counted: if found { Counted::Found } else { Counted::All },
                steady_from: if begun {
                    SteadyFrom::Begun
                } else {
                    SteadyFrom::Established
                },
            },
        )
        .boxed()
}

fn pem() -> BoxedStrategy<Pem> {
    prop_oneof![
        Just(Pem::File("some where/cert.pem".into())),
        Just(Pem::Text(
            "-----BEGIN X-----\nabc=\n-----END X-----\n".into()
        )),
    ]
    .boxed()
}

fn names() -> BoxedStrategy<Vec<String>> {
    vec("[a-z/1-9 '\"]{1,9}", 0..3).boxed()
}

fn tls_client() -> BoxedStrategy<TlsClient> {
    (
        option::of(pem()),
        any::<(bool, bool)>(),
        names(),
        option::of("[a-z.]{1,9}"),
    )
        .prop_map(|(cacert, (insecure, resume), alpn, sni)| TlsClient {
            cacert,
            insecure,
            alpn,
            sni,
            resume,
        })
        .boxed()
}

fn tls_server() -> BoxedStrategy<TlsServer> {
    (option::of((pem(), pem())), names(), any::<bool>())
        .prop_map(|(identity, alpn, resumption)| TlsServer {
            identity,
            alpn,
            resumption,
        })
        .boxed()
}

fn connect() -> BoxedStrategy<Connect> {
    let sources = select(&["10.0.0.5", "127.1.0.1-127.1.0.40", "fd00::/126"][..]);
    let sources = vec(sources.prop_map(|text| text.parse().unwrap()), 0..3);
    const POLICIES: [&str; 5] = [
        "immediate",
        "fixed:90s",
        "exponential:1ms..10s",
        "exponential:400ms..3s:full-jitter",
        "window:1.5s",
    ];
    let policy = select(&POLICIES[..]).prop_map(|text| text.parse().unwrap());
    let drops = select(&["10%@30s", "all@1m:reset"][..]);
    let drops = vec(drops.prop_map(|text| text.parse().unwrap()), 0..2);
    // What is dropped is opened again, before the hold is over.
    let reconnect = (any::<bool>(), policy, drops);
    let through = select(&["10.0.0.9:3128", "http://proxy.example"][..]);
    let through = through.prop_map(|text| Target::try_from(text.to_owned()).unwrap());
    let auth = option::of(Just("user:word".to_owned()));
    let tunnel = option::of((through, auth));
    (
        span(),
        sources,
        reconnect,
        option::of(prop_oneof![Just(Duration::ZERO), span()]),
        option::of(rate()),
        (resolve(), tunnel),
        proxy(),
        select(vec![None, Some(FastOpen::Cookie), Some(FastOpen::NoCookie)]),
    )
        .prop_map(
            |(
                timeout,
                source_ip,
                (reconnect, reconnect_policy, drop),
                lifetime,
                rate,
                (resolve, tunnel),
                proxy,
                fastopen,
            )| {
                let (proxy_protocol, proxy_source) = proxy;
                let (tunnel, tunnel_auth) = tunnel.unzip();
                Connect {
                    rate,
                    timeout,
                    within: rate.is_none().then_some(timeout),
                    source_ip,
                    fastopen,
                    resolve,
                    unix_socket: None,
                    proxy_protocol,
                    proxy_source,
                    tunnel,
                    tunnel_auth: tunnel_auth.flatten(),
                    reconnect,
                    reconnect_policy,
                    drop,
                    find_window: false,
                    find_rate: false,
                    lifetime,
                    exchanges_per_connection: None,
                    await_close: false,
                }
            },
        )
        .boxed()
}

/// In some scenarios connections go to Unix sockets, of which nothing of TCP and IP is said.
fn to_unix_sockets(targets: &mut [Target], connect: &mut Connect, sockets: &mut SocketOptions) {
    if targets.is_empty() || connect.timeout.subsec_nanos() % 2 == 1 {
        return;
    }
    let plain = targets.iter().all(|target| target.spec.scheme.is_none());
    match plain && connect.lifetime.is_some() {
        true => targets.fill("unix:/run/a b.sock".to_owned().try_into().unwrap()),
        false => connect.unix_socket = Some("@name".parse().unwrap()),
    }
    connect.source_ip.clear();
    connect.resolve = Resolve::default();
    connect.fastopen = None;
    (connect.tunnel, connect.tunnel_auth) = (None, None);
    connect.proxy_protocol = None;
    connect.proxy_source.clear();
    *sockets = SocketOptions {
        send_buffer: sockets.send_buffer,
        receive_buffer: sockets.receive_buffer,
        ..SocketOptions::default()
    };
}

fn proxy() -> BoxedStrategy<(Option<proxy_protocol::Version>, Vec<ClientRange>)> {
    use proxy_protocol::Version::{V1, V2};
    (select(vec![None, Some(V1), Some(V2)]), client_ranges())
        .prop_map(|(version, ranges)| match version {
            None => (None, Vec::new()),
            Some(_) => (version, ranges),
        })
        .boxed()
}

fn client_ranges() -> BoxedStrategy<Vec<ClientRange>> {
    let ranges = select(&["198.18.0.0/15", "2001:2::/48", "10.0.0.5"][..]);
    vec(ranges.prop_map(|text| text.parse().unwrap()), 0..3).boxed()
}

fn resolve() -> BoxedStrategy<Resolve> {
    let all = select(vec![Addresses::Answering, Addresses::All, Addresses::First]);
    let families = select(vec![None, Some(Family::V4), Some(Family::V6)]);
    let hosts = select(&["a.example:443:10.0.0.7", "[::1]:80:[fd00::7],10.0.0.7"][..]);
    let hosts = vec(hosts.prop_map(|text| text.parse().unwrap()), 0..3);
    let others = select(&["a.example:443:b.example:8443", "::[::1]:"][..]);
    let others = vec(others.prop_map(|text| text.parse().unwrap()), 0..3);
    (all, families, hosts, others)
        .prop_map(|(addresses, family, hosts, connect_to)| Resolve {
            addresses,
            family,
            hosts,
            connect_to,
        })
        .boxed()
}

fn subprotocols() -> BoxedStrategy<Vec<Subprotocol>> {
    let name = select(&["chat", "v12.stomp"][..]).prop_map(|name| name.parse().unwrap());
    vec(name, 0..3).boxed()
}

/// Protocols, with messages that they have and the scheme of their targets.
fn protocol() -> BoxedStrategy<(Protocol, Messages)> {
    let header = select(&["Origin: http://a.example", "X-Empty:", "A:\tb'\"c"][..]);
    let header = vec(header.prop_map(|text| text.parse().unwrap()), 0..3);
    let method = option::of(select(&["GET", "HEAD", "x-own"][..]));
    let most = option::of(select(&["1", "250", "4294967295", "2..5k"][..]));
    let statuses = select(&["2xx,3xx", "200", "404,5xx"][..]);
    let body = option::of(messages(2));
    let body = body.prop_map(|all| all.and_then(|all| all.repeated.into_iter().next()));
    let url = select(&["/a?b", "http://a.example:8080/c"][..]);
    let listed = (url, header.clone(), body).prop_map(|(url, header, body)| Listed {
        method: "PUT".parse().unwrap(),
        url: url.into(),
        header,
        body,
    });
    let origin = option::of(select(
        &["http://b.example/", "http://b.example:81/x?y"][..],
    ));
    let of_http = (header.clone(), vec(listed, 0..3), origin);
    let text = option::of(select(&["ok", "a\\{\n"][..]));
    let statuses = (statuses, any::<bool>(), text);
    let follow = option::of(1..=u16::MAX);
    let think = option::of(select(&["2s", "10ms..1m"][..]));
    let pipeline = prop_oneof![Just(1), 1..=u16::MAX];
    let numbers = (most, pipeline, follow, option::of(span()), think);
    let http = (of_http, method, any::<bool>(), numbers, statuses).prop_map(
        |(
            (header, requests, origin),
            method,
            user_agent,
            (most, pipeline, follow, timeout, think),
            (statuses, events, text),
        )| {
            Protocol::Http(HttpAsked {
                method: method.map(|text| text.parse().unwrap()),
                header,
                user_agent,
                requests,
                requests_per_connection: most.map(|most| most.parse().unwrap()),
                pipeline: NonZeroU16::new(pipeline).unwrap(),
                timeout,
                think: think.map(|text| text.parse().unwrap()),
                origin: origin.map(|text| text.parse().unwrap()),
                follow: follow.and_then(NonZeroU16::new),
                events,
                expect_body: text.map(Into::into),
                expect_status: statuses.parse().unwrap(),
            })
        },
    );
    let ping = option::of(span());
    let websocket = (header, any::<bool>(), ping, subprotocols()).prop_map(
        |(header, user_agent, ping, subprotocols)| {
            Protocol::Websocket(WebSocketAsked {
                header,
                user_agent,
                ping,
                subprotocols,
            })
        },
    );
    let queries = select(&["example.com/A", r"a\.b\065.example/TYPE99"][..]);
    let queries = vec(queries.prop_map(|text| text.parse().unwrap()), 1..3);
    let dns = (queries, any::<bool>())
        .prop_map(|(queries, edns)| Protocol::Dns(DnsAsked { queries, edns }));
    let repeated = messages(3).prop_map(|messages| Messages {
        first: Vec::new(),
        ..messages
    });
    prop_oneof![
        (Just(Protocol::default()), messages(3)),
        (websocket, messages(3)),
        (dns, Just(Messages::default())),
        (mqtt(), repeated.clone()),
        (http, repeated).prop_map(|(protocol, messages)| match protocol.says() {
            Says::Own => (protocol, Messages::default()),
            _ => (protocol, messages),
        }),
    ]
    .boxed()
}

fn mqtt() -> BoxedStrategy<Protocol> {
    let text = || option::of(select(&["me", r"a\{connection.uid%9}", "7"][..]));
    let text = move || text().prop_map(|text| text.map(|text| text.parse().unwrap()));
    let topic = || option::of(select(&["a/b:1", r"t/\{connection.uid}", "a:b:2"][..]));
    let topic = move || topic().prop_map(|text| text.map(|text| text.parse().unwrap()));
    let filters = select(&["a/#:2", r"+/\{connection.re [a-z]}", "$SYS/echo"][..]);
    let filters = vec(filters.prop_map(|text| text.parse().unwrap()), 0..3);
    let version = select(&[Version::V3_1_1, Version::V5][..]);
    let keep_alive = prop_oneof![Just(Duration::ZERO), span()];
    let names = (text(), text(), text());
    let switches = any::<(bool, bool, bool, bool)>();
    let times = (keep_alive, option::of(span()));
    let will = (topic(), text());
    (version, names, times, filters, topic(), switches, will)
        .prop_map(
            |(
                version,
                (client_id, username, password),
                (keep_alive, session_expiry),
                subscribe,
                publish,
                (retain, numbered, keep_session, will_retain),
                (will, will_message),
            )| {
                Protocol::Mqtt(MqttAsked {
                    version,
                    client_id,
                    username,
                    password,
                    keep_alive,
                    subscribe,
                    publish,
                    retain,
                    numbered,
                    keep_session,
                    session_expiry,
                    will,
                    will_message,
                    will_retain,
                })
            },
        )
        .boxed()
}

/// Hold, duration, workers, engine, force.
type Run = (Hold, Option<Duration>, Option<u32>, EngineChoice, bool);

fn run() -> BoxedStrategy<Run> {
    let engine = select(&[EngineChoice::Auto, EngineChoice::Uring, EngineChoice::Epoll][..]);
    let hold = prop_oneof![
        Just(Hold::Forever),
        Just(Hold::For(Duration::ZERO)),
        span().prop_map(Hold::For)
    ];
    (
        hold,
        option::of(span()),
        option::of(1..=1024u32),
        engine,
        any::<bool>(),
    )
        .boxed()
}

fn sockets() -> BoxedStrategy<SocketOptions> {
    let buffer = || option::of(1..=0x3fff_ffffu64);
    let seconds = |most: u64| (1..=most).prop_map(Duration::from_secs);
    // A count comes after an interval.
    let later = option::of((seconds(32_767), option::of(1..=127u8)));
    let keepalive = (seconds(32_767), later).prop_map(|(idle, later)| Keepalive {
        idle,
        interval: later.map(|(interval, _)| interval),
        count: later.and_then(|(_, count)| count),
    });
    let name = || option::of(select(&["bbr", "eth0.100", "fifteen-letters"][..]));
    let named = |name: Option<&str>| name.map(|name| name.parse().unwrap());
    let times = (
        option::of(keepalive),
        option::of((1..=i32::MAX as u64).prop_map(Duration::from_millis)),
        option::of(Just(Duration::ZERO)),
    );
    let marks = (
        option::of(any::<u32>()),
        option::of((0..64u8).prop_map(|dscp| dscp << 2)),
    );
    let switches = (any::<bool>(), any::<bool>());
    let names = (name(), name());
    (switches, buffer(), buffer(), times, names, marks)
        .prop_map(
            move |(
                (nagle, mptcp),
                receive_buffer,
                send_buffer,
                times,
                (congestion, device),
                (mark, tos),
            )| {
                let (keepalive, user_timeout, linger) = times;
                SocketOptions {
                    nagle,
                    receive_buffer,
                    send_buffer,
                    keepalive,
                    user_timeout,
                    congestion: named(congestion),
                    mark,
                    tos,
                    linger,
                    bind_device: named(device),
                    mptcp,
                }
            },
        )
        .boxed()
}

fn any_load() -> BoxedStrategy<Scenario> {
    let target = select(&["10.0.0.7:9000", "a.example:http/x?y", "[::1]:80"][..]);
    let target = target.prop_map(|text: &str| String::from(text).try_into().unwrap());
    let on = vec((any::<[u8; 4]>(), any::<u16>()), 1..3)
        .prop_map(|all| all.into_iter().map(|at| ListenAddress(at.into())).collect());
    let mode = select(&[ListenMode::Silent, ListenMode::Active][..]);
    let listen = (on, mode).prop_map(|(on, mode)| Listening { on, mode });
    let ends = (
        vec(target, 1..4),
        1..=100_000_000u32,
        option::of(any::<u64>()),
        option::of(listen),
    );
    let tolerance = || {
        prop_oneof![
            any::<u32>().prop_map(Tolerance::Count),
            (0.0..=100.0f64).prop_map(Tolerance::Percent),
        ]
    };
    let allow =
        (tolerance(), tolerance()).prop_map(|(lost, unanswered)| Allow { lost, unanswered });
    const EXPECTATIONS: [&str; 4] = [
        "response.p99.9<10ms",
        "answers >= 99.9%",
        "lost=0",
        "opened/s>1k",
    ];
    let expect = vec(select(&EXPECTATIONS[..]), 0..3)
        .prop_map(|all| all.into_iter().map(|text| text.parse().unwrap()).collect());
    let judged = (allow, expect);
    let parts = (connect(), protocol(), pace(), measure(), judged, sockets());
    let tls = (option::of(tls_client()), option::of(tls_server()));
    (ends, run(), parts, tls)
        .prop_map(
            |(
                (mut targets, connections, seed, listen),
                (hold, duration, workers, engine, force),
                (
                    mut connect,
                    (mut protocol, messages),
                    mut pace,
                    measure,
                    (allow, expect),
                    mut sockets,
                ),
                (tls, tls_server),
            )| {
                // As a scenario is once it is settled.
                if targets.is_empty() {
                    pace.requests = None;
                    (connect.tunnel, connect.tunnel_auth) = (None, None);
                    connect.proxy_protocol = None;
                    connect.proxy_source.clear();
                }
                if targets.is_empty() || !connect.reconnect || hold != Hold::Forever {
                    connect.drop.clear();
                }
                connect
                    .drop
                    .retain(|drop| duration.is_none_or(|run| drop.after < run));
                to_unix_sockets(&mut targets, &mut connect, &mut sockets);
                if protocol.answers().from_every_peer() && pace.sending == Sending::Flood {
                    pace.sending = Sending::ClosedLoop { in_flight: None };
                }
                if let Protocol::Http(http) = &mut protocol {
                    let alone = Sending::ClosedLoop { in_flight: None };
                    if pace.sending != alone || http.pipeline > NonZeroU16::MIN {
                        http.think = None;
                    }
                    if pace.sending.is_closed_loop() && pace.sending != alone {
                        http.pipeline = NonZeroU16::MIN;
                    }
                }
                let exchanges = pace.sending == (Sending::ClosedLoop { in_flight: None })
                    && connect.reconnect
                    && connect.drop.is_empty()
                    && !matches!(protocol, Protocol::Http(_))
                    && !targets.is_empty();
                if exchanges {
                    connect.exchanges_per_connection = NonZeroU16::new(1000);
                    connect.await_close = sockets.linger.is_none();
                }
                let closes = exchanges || connect.lifetime.is_some() || protocol.closes();
                let closes = closes || !connect.drop.is_empty();
                let drain = force && !targets.is_empty() && !closes;
                Scenario::Load(Box::new(LoadScenario {
                    targets,
                    own_server: None,
                    connections: connections.into(),
                    hold,
                    duration,
                    workers,
                    engine,
                    force,
                    seed,
                    drain,
                    connect,
                    protocol,
                    messages,
                    pace,
                    measure,
                    allow,
                    expect,
                    sockets,
                    tls,
                    listen,
                    tls_server,
                    shard: Shard::WHOLE,
                }))
            },
        )
        .boxed()
}

fn any_serve() -> BoxedStrategy<Scenario> {
    let mode = select(
        &[
            ServeMode::Sink,
            ServeMode::Echo,
            ServeMode::Chargen,
            ServeMode::Ws,
            ServeMode::WsSink,
            ServeMode::Mqtt,
        ][..],
    );
    let limits = (option::of(1..9_999_999u32), option::of(1..9_999_999u32));
    let sends = (messages(3), option::of(rate()));
    let place = (any::<[u8; 4]>(), any::<u16>());
    let place = place.prop_map(|at| ListenPlace::from(SocketAddr::from(at)));
    (
        vec(place, 1..3),
        mode,
        limits,
        run(),
        sends,
        (
            sockets(),
            option::of(tls_server()),
            any::<(bool, bool)>(),
            subprotocols(),
            client_ranges(),
        ),
    )
        .prop_map(
            |(
                listen,
                mode,
                (backlog, max_connections),
                run,
                (messages, message_rate),
                (sockets, tls, (fastopen, proxy_protocol), subprotocols, proxy_source),
            )| {
                let (_, duration, workers, engine, force) = run;
                let sends = mode == ServeMode::Chargen;
                Scenario::Serve(Box::new(ServeScenario {
                    listen,
                    mode,
                    backlog,
                    max_connections,
                    duration,
                    workers,
                    engine,
                    force,
                    message_rate: message_rate.filter(|_| sends),
                    subprotocols: match mode {
                        ServeMode::Ws | ServeMode::WsSink => subprotocols,
                        _ => Vec::new(),
                    },
                    messages: if sends { messages } else { Messages::default() },
                    sockets,
                    fastopen,
                    proxy_protocol,
                    proxy_source,
                    tls,
                }))
            },
        )
        .boxed()
}

fn any_proxy() -> BoxedStrategy<Scenario> {
    let backends = select(&["10.0.0.7:80", "db.example:5432", "[fd00::7]:443", "a:http"][..]);
    let backend = backends.prop_map(|text| Target::try_from(text.to_owned()).unwrap());
    let version = select(&[proxy_protocol::Version::V1, proxy_protocol::Version::V2][..]);
    let sources = select(&["10.0.0.1", "10.0.0.1-10.0.0.8", "fd00::/120"][..]);
    let sources = sources.prop_map(|text| text.parse().unwrap());
    let time = (1u64..1_000_000).prop_map(Duration::from_millis);
    (
        vec((any::<[u8; 4]>(), any::<u16>()), 1..3),
        vec(backend, 1..4),
        (
            select(Balance::ALL.map(|(_, balance)| balance).to_vec()),
            vec(sources, 0..3),
            option::of(version),
            any::<(bool, bool, bool)>(),
        ),
        (time.clone(), time.clone(), time),
        (option::of(1..9_999_999u32), option::of(1..9_999_999u32)),
        (
            run(),
            sockets(),
            option::of(tls_server()),
            option::of(tls_client()),
        ),
    )
        .prop_map(
            |(
                listen,
                to,
                (balance, source_ip, send_proxy, (accept_proxy, transparent, to_original)),
                (connect_timeout, left_out, drain_timeout),
                (backlog, max_connections),
                ((_, duration, workers, engine, force), sockets, tls, backend_tls),
            )| {
                let original = ProxyScenario::default();
                let (to, balance, source_ip, accept_proxy) = match to_original {
                    true => (original.to, original.balance, original.source_ip, false),
                    false => (to, balance, source_ip, accept_proxy),
                };
                Scenario::Proxy(Box::new(ProxyScenario {
                    listen: listen
                        .into_iter()
                        .map(|at| ListenAddress(at.into()))
                        .collect(),
                    to,
                    to_original,
                    balance,
                    source_ip,
                    transparent,
                    send_proxy,
                    accept_proxy,
                    tls,
                    backend_tls,
                    connect_timeout,
                    left_out,
                    drain_timeout,
                    backlog,
                    max_connections,
                    duration,
                    workers,
                    engine,
                    force,
                    sockets,
                }))
            },
        )
        .boxed()
}

/// Every key path of a file, without the values.
fn keys(table: &toml::Table, path: &str, all: &mut BTreeSet<String>) {
    for (key, value) in table {
        let path = format!("{path}.{key}");
        match value {
            toml::Value::Table(inner) if !inner.contains_key("base64") => keys(inner, &path, all),
            _ => drop(all.insert(path)),
        }
    }
}

#[test]
fn the_documentation_has_every_key_and_no_other() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut known = BTreeSet::from(["load.self".to_owned()]);
    for strategy in [any_load(), any_serve(), any_proxy()] {
        for _ in 0..300 {
            match strategy.new_tree(&mut runner).unwrap().current() {
                Scenario::Load(load) => {
                    keys(&toml::Table::try_from(*load).unwrap(), "load", &mut known);
                }
                Scenario::Serve(serve) => {
                    keys(&toml::Table::try_from(*serve).unwrap(), "serve", &mut known);
                }
                Scenario::Proxy(proxy) => {
                    keys(&toml::Table::try_from(*proxy).unwrap(), "proxy", &mut known);
                }
            }
        }
    }
    // A protocol without keys stands for its section.
    known.insert("load.protocol".into());
    let page = include_str!("../../../../../../docs/scenario.md");
    let documented: BTreeSet<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(key, _)| key.to_owned())
        .filter(|key| {
            ["load.", "serve.", "proxy."]
                .iter()
                .any(|of| key.starts_with(of))
        })
        .collect();
    assert_eq!(documented, known);
}

proptest! {
    #[test]
    fn any_scenario_is_written_and_read_back(scenario in prop_oneof![3 => any_load(), 1 => any_serve(), 1 => any_proxy()]) {
        let text = write(&scenario).unwrap();
        let settled = match scenario.clone() {
            Scenario::Load(load) => load.settled().map(|load| Scenario::Load(Box::new(load))),
            Scenario::Serve(serve) => serve
                .settled()
                .map(|serve| Scenario::Serve(Box::new(serve))),
            Scenario::Proxy(proxy) => proxy
                .settled()
                .map(|proxy| Scenario::Proxy(Box::new(proxy))),
        };
        match (settled, read_set(&text, &[])) {
            (Ok(settled), Ok(read)) => {
                prop_assert_eq!(&settled, &scenario);
                prop_assert_eq!(&read, &scenario, "{}", text);
            }
            // What does not go together is refused in the file, too.
            (Err(why), Err(read)) => prop_assert_eq!(read, format!("a.toml: {why}")),
            (settled, read) => prop_assert!(false, "{}\n{:?}\n{:?}", text, settled, read),
        }
    }
}
