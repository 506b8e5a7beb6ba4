//! The voices: whose output a run's output looks like. Those of programs whose name the command line has are in `programs/`.

mod html;
mod http;
mod speak;
mod tcpkali;
mod throng;

pub(crate) use html::Table;
pub(crate) use http::{Lines, ab_style};
pub(crate) use speak::{Saying, Voice};

use std::rc::Rc;

/// The voice of a load.
pub(crate) fn of(like_tcpkali: bool) -> Rc<dyn Voice> {
    match like_tcpkali {
        false => Rc::new(throng::Throng),
        true => Rc::new(tcpkali::Tcpkali),
    }
}
