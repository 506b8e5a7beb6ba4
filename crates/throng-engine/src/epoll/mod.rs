//! stub
use crate::job::{Done, Job};
use crate::socket::OwnedEvent;
use std::io;
use std::sync::Arc;
use throng_core::behaviour::Behaviour;
pub(crate) fn run<B: Behaviour>(_job: Job<B>, _waker: Arc<OwnedEvent>) -> io::Result<Done> {
    unimplemented!()
}
