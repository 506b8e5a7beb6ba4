//! The `throng` binary against what others have written: WebSocket by `websockets` (PyPI) and `ws` (npm), TLS by
//! OpenSSL and nginx, HTTP by nginx, HAProxy, Node and curl, MQTT by mosquitto and Paho, DNS by
//! NSD, plain sockets by Python.
//!
//! Each test has a network namespace of its own. The peers' programs are in `tests/peers`; scripts/test installs
//! what runs them.

#[allow(dead_code)]
#[path = "../../../throng-tls/tests/tls/authority.rs"]
mod authority;
#[path = "../common/mod.rs"]
mod common;

mod dns;
mod http;
mod http_counts;
mod http_voices;
mod listening;
mod metrics;
mod mqtt;
mod proxy;
mod proxy_tls;
mod samples;
mod sending;
mod storms;
mod tls;
mod transport;
mod tunnel;
mod websocket_load;
mod websocket_serve;

/// Each engine passes each test.
const ENGINES: [&str; 2] = ["uring", "epoll"];
