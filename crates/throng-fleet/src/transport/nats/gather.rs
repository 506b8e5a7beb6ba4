//! Questions that many answer, and nobody knows how many.

use super::{Connection, NatsError};
use crate::message;
use serde::de::DeserializeOwned;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// The longest answer, in bytes.
const MOST: usize = 64 << 10;

/// Asks at `subject`, and returns the answers that came until they are `enough`, or until `patience` is over. What is no such
/// answer is left out.
pub(super) fn gather<T: DeserializeOwned + Send + 'static>(
    connection: &Connection,
    subject: &str,
    patience: Duration,
    enough: impl Fn(&[T]) -> bool,
) -> Result<Vec<T>, NatsError> {
    let (answers, answered) = channel();
    let inbox = connection.inbox();
    connection.subscribe(inbox.clone(), MOST, move |received| {
        match received.bytes.and_then(|b| message::decode(&b, MOST)) {
            Ok(answer) => answers.send(answer).is_ok(),
            Err(_) => true,
        }
    })?;
    connection.ask(subject, Vec::new(), &inbox);
    let until = Instant::now() + patience;
    let mut all = Vec::new();
    while !enough(&all) {
        match answered.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(answer) => all.push(answer),
            Err(_) => break,
        }
    }
    Ok(all)
}
