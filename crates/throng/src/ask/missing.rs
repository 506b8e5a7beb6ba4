//! What can be asked for but is not built in: told in one line, before anything is opened.

use crate::Failure;
use throng_core::scenario::{LoadScenario, ServeScenario};

/// Refuses a load that asks for such.
pub(crate) fn refuse_load(scenario: &LoadScenario) -> Result<(), Failure> {
    let options = &scenario.options;
    let latency = &options.latency;
    refuse(&[
        (options.websocket.is_some(), "WebSocket"),
        (
            options.tls_client.is_some() || options.tls_server.is_some(),
            "TLS",
        ),
        (options.listening.is_some(), "--listen-port"),
        (!options.dns.is_empty(), "--dns"),
        (options.whole_run.is_some(), "--rate and --profile"),
        (options.search.is_some(), "--message-rate @LATENCY"),
        (
            options.limits.upstream.is_some(),
            "--channel-bandwidth-upstream",
        ),
        (
            options.limits.downstream.is_some(),
            "--channel-bandwidth-downstream",
        ),
        (!options.limits.delay_send.is_zero(), "--delay-send"),
        (options.limits.lifetime.is_some(), "--channel-lifetime"),
        (options.limits.stop_at.is_some(), "--message-stop"),
        (options.limits.write_each, "--write-combine off"),
        (options.socket.nagle.is_some(), "--nagle"),
        (options.socket.receive_buffer.is_some(), "--rcvbuf"),
        (options.socket.send_buffer.is_some(), "--sndbuf"),
        (
            // Workers hand their histograms over at their end.
            options
                .statsd
                .as_ref()
                .is_some_and(|s| s.latency_window.is_some()),
            "--statsd-latency-window",
        ),
        (latency.first_byte, "--latency-first-byte"),
        (latency.message.is_some(), "message latency"),
        (latency.log.is_some(), "--latency-log"),
        (latency.samples.is_some(), "--samples"),
        (!options.dump.is_off(), "dumping traffic"),
    ])
}

/// Refuses a server that asks for such.
pub(crate) fn refuse_serve(scenario: &ServeScenario) -> Result<(), Failure> {
    use throng_core::scenario::ServeMode;
    let built = matches!(scenario.mode, ServeMode::Sink | ServeMode::Echo);
    refuse(&[
        (!built, "this --mode"),
        (scenario.options.tls_server.is_some(), "TLS"),
    ])
}

fn refuse(asked: &[(bool, &str)]) -> Result<(), Failure> {
    match asked.iter().find(|(asked, _)| *asked) {
        Some((_, what)) => Err(Failure::usage(format!(
            "{what} is not built into this version"
        ))),
        None => Ok(()),
    }
}
