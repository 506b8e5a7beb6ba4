//! The voices: whose output a run's output looks like. Each is a file here and a line in [`of`].

mod speak;
mod tcpkali;
mod throng;

pub(crate) use speak::{Saying, Voice};

/// The voice of a load.
pub(crate) fn of(like_tcpkali: bool) -> &'static dyn Voice {
    match like_tcpkali {
        false => &throng::Throng,
        true => &tcpkali::Tcpkali,
    }
}
