//! What was asked for, in the form that the record keeps.

use crate::behave::LoadBehaviours;
use std::time::Duration;
use throng_core::plan::PortsRest;
use throng_core::record::{Asked, AskedExchanges, AskedRate, RateOf, Role};
use throng_core::scenario::{
    LoadScenario, ProxyScenario, RunRate, Sending, ServeScenario, SteadyFrom,
};
use throng_core::summary::LatencyReport;

/// What the load `scenario` asked for, of this many connections. They were held for `hold`. `messages` is how many messages were asked for
/// during the run: by a profile from stdin, or at a rate that was changed. `ports` is what bounds the rate of new connections.
pub(crate) fn of_load(
    scenario: &LoadScenario,
    behaviours: &LoadBehaviours,
    latencies: &LatencyReport,
    hold: Duration,
    messages: Option<f64>,
    connections: u64,
    ports: Option<&PortsRest>,
) -> Asked {
    let (pace, sending) = (&scenario.pace, &scenario.pace.sending);
    let all = |each: f64| each * connections as f64;
    let own = |whole: f64| whole * scenario.shard.fraction();
    let rate = match sending {
        _ if messages.is_some() => messages.map_or(AskedRate::Nothing, AskedRate::Messages),
        Sending::WholeRun { rate, .. } => match rate {
            RunRate::Constant(rate) => AskedRate::Constant(own(rate.get())),
            RunRate::Profile(profile) => {
                AskedRate::Messages(own(profile.total(hold.min(profile.duration()))))
            }
            RunRate::Stdin => AskedRate::Nothing,
        },
        Sending::PerConnection(rate) => AskedRate::Constant(all(rate.get())),
        _ => AskedRate::Nothing,
    };
    Asked {
        role: Role::Load,
        connections: Some(connections),
        connect_per_s: scenario.connect.paced().map(|r| own(r.get())),
        reconnect: (scenario.connect.reconnect).then_some(scenario.connect.reconnect_policy),
        drops: scenario.connect.drop.clone(),
        drain: scenario.drain,
        find_window: scenario.connect.finds_window(),
        fastopen: scenario.connect.fastopen.is_some(),
        connect_timeout_s: scenario.connect.timeout.as_secs_f64(),
        ramp_limit_s: scenario.connect.within.map(|l| l.as_secs_f64()),
        messages: behaviours
            .repeats()
            .then_some(match sending.is_closed_loop() {
                true => RateOf::Replies,
                false => RateOf::Sent,
            }),
        rate,
        requests: scenario.own_requests().map(u64::from),
        paced: matches!(
            sending,
            Sending::PerConnection(_) | Sending::WholeRun { .. } | Sending::Search(_)
        ),
        sent_per_s: sending.bandwidth().map(|b| all(b.get())),
        received_per_s: pace.downstream.map(|b| all(b.get())),
        hold_s: holds(scenario).map(|hold| hold.as_secs_f64()),
        allow: scenario.allow,
        expect: scenario.expect.clone(),
        lifetime: scenario.renews(),
        exchanges: scenario
            .connect
            .exchanges_per_connection
            .map(|each| AskedExchanges {
                each,
                ports_per_s: ports.map(|ports| ports.per_s()),
                await_close: scenario.connect.await_close,
            }),
        own_server: scenario.own_server.is_some(),
        stops_at_text: scenario.measure.stop_at.is_some(),
        answers: behaviours.matches_answers(),
        time_stamps: behaviours.finds_markers(),
        protocol: scenario.protocol.kind(),
        subprotocols: scenario.protocol.subprotocols().to_vec(),
        unix: !scenario.unix_sockets().is_empty(),
        tunnels: scenario.connect.tunnel.is_some(),
        takes_headers: false,
        sends_headers: scenario.connect.proxy_protocol.is_some(),
        tls_client: scenario.tls.is_some(),
        tls_server: scenario.tls_server.is_some(),
        latencies: latencies.asked(&scenario.measure),
        steady_from_last_attempt: scenario.measure.steady_from == SteadyFrom::Begun,
    }
}

/// What the server `scenario` asked for.
pub(crate) fn of_serve(scenario: &ServeScenario) -> Asked {
    Asked {
        role: Role::Serve,
        connections: scenario.max_connections.map(u64::from),
        protocol: scenario.mode.protocol().kind(),
        subprotocols: scenario.subprotocols.clone(),
        takes_headers: scenario.proxy_protocol,
        tls_server: scenario.tls.is_some(),
        ..Asked::default()
    }
}

/// What the proxy `scenario` asked for.
pub(crate) fn of_proxy(scenario: &ProxyScenario) -> Asked {
    Asked {
        role: Role::Proxy,
        takes_headers: scenario.accept_proxy,
        tls_client: scenario.backend_tls.is_some(),
        tls_server: scenario.tls.is_some(),
        connect_timeout_s: scenario.connect_timeout.as_secs_f64(),
        ..Asked::default()
    }
}

/// How long connections are to be held, if that is a time of its own: not as long as a rate or a search goes on, nor what
/// is left of the time that the run may take, nor until it is asked to end.
fn holds(scenario: &LoadScenario) -> Option<Duration> {
    let sending = &scenario.pace.sending;
    let ends_itself = match sending.run_rate() {
        Some(RunRate::Profile(_) | RunRate::Stdin) => true,
        Some(RunRate::Constant(_)) | None => sending.search().is_some(),
    };
    let length = scenario.hold.length()?;
    let ends_itself = ends_itself || scenario.connect.finds_window();
    (!ends_itself && scenario.duration != Some(length)).then_some(length)
}
