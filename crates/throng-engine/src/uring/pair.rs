//! Two workers in one thread: both ends of the same connections.

use super::worker::{Place, Round, Worker};
use crate::job::Job;
use crate::socket::OwnedEvent;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use throng_core::behaviour::Behaviour;

/// Runs both ends of the same connections in this thread until both are told to close. What one end
/// sends is there for the other when its rings are entered next, without a switch between threads.
pub(crate) fn run_pair<C: Behaviour, S: Behaviour>(
    client: Job<C>,
    server: Job<S>,
    waker: Arc<OwnedEvent>,
) -> io::Result<()> {
    let mut client = Worker::new(client, Arc::clone(&waker), Place::Lead)?;
    let mut server = Worker::new(server, waker, Place::Second)?;
    let outcome = work_together(&mut client, &mut server);
    // The server first: it resets, and the clients see to what that brings.
    server.close_all();
    client.close_all();
    client.desk.done();
    server.desk.done();
    outcome
}

fn work_together<C: Behaviour, S: Behaviour>(
    client: &mut Worker<C>,
    server: &mut Worker<S>,
) -> io::Result<()> {
    loop {
        let rounds = [client.round()?, server.round()?];
        if rounds == [Round::Close; 2] {
            return Ok(());
        }
        if rounds.contains(&Round::Busy) {
            continue;
        }
        let timeout = [client.timeout(), server.timeout()]
            .into_iter()
            .flatten()
            .min();
        if timeout == Some(Duration::ZERO) && !client.rings[0].has_pending() {
            continue;
        }
        server.notify(true);
        client.sleep(timeout, || server.has_work())?;
        server.notify(false);
    }
}
