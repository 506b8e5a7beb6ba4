//! The far end: accepts connections, and does what the near end asks for.

use super::flows::{Flows, What};
use crate::{Failure, Stop, listener};
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use throng_core::probe::{Far, HostFacts, Look, TcpInfo};
use throng_engine::{Reach, SocketOptions};
use throng_host::handshakes;

/// Connections that may wait to be accepted: net.core.somaxconn of most systems.
const BACKLOG: u32 = 4096;
/// How long to accept nothing when no more files can be opened.
const WITHOUT_FILES: Duration = Duration::from_millis(100);
/// How often a request to stop is looked for.
const LOOK_FOR_STOP: Duration = Duration::from_millis(100);

struct Kernel<'a>(&'a Flows);

impl Look for Kernel<'_> {
    fn info(&self, connection: u64) -> Option<TcpInfo> {
        self.0.info(connection)
    }

    fn host(&self) -> HostFacts {
        handshakes::read()
    }
}

/// Serves probes at `at` until it is stopped. `server` is a number that tells it from others; `ready` is called with the
/// address once it listens. It never closes a connection of a probe by itself.
///
/// # Errors
/// The address can't be listened on, or the kernel's epoll fails.
pub fn serve(
    at: SocketAddr,
    server: u64,
    stop: &Stop,
    ready: impl FnOnce(SocketAddr),
) -> Result<(), Failure> {
    let fault = |e: io::Error| Failure::fault(format!("the far end of a probe: {e}"));
    // As many connections as this process may have. With the soft limit alone there are fewer.
    let _ = throng_host::limits::raise_soft_to_hard();
    let listener = listener::open(at, BACKLOG, Reach::Address, &SocketOptions::default())?;
    let at = listener.local_addr().map_err(fault)?;
    let mut flows = Flows::new().map_err(fault)?;
    flows.listen(listener).map_err(fault)?;
    ready(at);
    let mut far = Far::new(server);
    let began = Instant::now();
    let (mut stalled, mut paused): (Vec<(Instant, u64)>, Option<Instant>) = (Vec::new(), None);
    while !stop.is_requested() {
        let due = far
            .next_due()
            .map(|due| due.saturating_sub(began.elapsed()));
        let patience = due.unwrap_or(LOOK_FOR_STOP).min(LOOK_FOR_STOP);
        for happened in flows.wait(patience).map_err(fault)? {
            let now = happened.at.duration_since(began);
            match happened.what {
                What::Waiting => {
                    if !accept_all(&mut flows, &mut far, now) {
                        flows.set_accepting(false).map_err(fault)?;
                        paused = Some(Instant::now() + WITHOUT_FILES);
                    }
                }
                What::Received(bytes) => {
                    let out = far.received(happened.flow, &bytes, now, &Kernel(&flows));
                    flows.send(happened.flow, &out.send);
                    if let Some(time) = out.stall {
                        flows.set_stalled(happened.flow, true);
                        stalled.push((Instant::now() + time, happened.flow));
                    }
                    if out.close {
                        flows.close(happened.flow);
                        far.closed(happened.flow, now);
                    }
                }
                What::Ended(end) => far.ended(happened.flow, end, now),
                What::Up | What::Failed(_) => {}
            }
        }
        for (connection, bytes) in far.due(began.elapsed()) {
            flows.send(connection, &bytes);
        }
        let now = Instant::now();
        stalled.retain(|(until, connection)| {
            let over = *until <= now;
            if over {
                flows.set_stalled(*connection, false);
            }
            !over
        });
        if paused.is_some_and(|until| until <= now) {
            paused = None;
            flows.set_accepting(true).map_err(fault)?;
        }
    }
    Ok(())
}

/// Accepts what waits. Returns whether it could: without, no more files can be opened.
fn accept_all(flows: &mut Flows, far: &mut Far, now: Duration) -> bool {
    loop {
        match flows.accept() {
            Ok(Some((connection, peer, at))) => far.accepted(connection, peer, at, now),
            Ok(None) => return true,
            // The peer reset it while it waited.
            Err(e) if e.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(_) => return false,
        }
    }
}
