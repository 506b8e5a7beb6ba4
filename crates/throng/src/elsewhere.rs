//! The network namespaces besides its own that a load looks at, to say why attempts to connect time out: that of the server of the lab around
//! it, and that of the system under test.

use throng_core::lab::{Lab, VARIABLE};
use throng_host::elsewhere::Namespace;
use throng_host::watched::Subject;

/// Begins to read them. `subject` is the system under test, if it is watched.
pub(crate) fn namespaces(subject: Option<&Subject>) -> Vec<Namespace> {
    let lab = std::env::var(VARIABLE).ok();
    // A variable that can't be read is the business of the command that needs it.
    let lab: Option<Lab> = lab.and_then(|text| text.parse().ok());
    let server = lab.map(|lab| Namespace::of("the server's host of the lab", lab.server));
    server.into_iter().chain(watched(subject)).collect()
}

/// The same for an agent, whose own namespace is the last on the way to a container that it watches: others' attempts time out there.
pub(crate) fn namespaces_of_agent(subject: Option<&Subject>) -> Vec<Namespace> {
    let around = watched(subject).and_then(|of| of.around());
    namespaces(subject).into_iter().chain(around).collect()
}

fn watched(subject: Option<&Subject>) -> Option<Namespace> {
    subject.and_then(|of| Some(Namespace::of(of.name(), of.any_process()?)))
}
