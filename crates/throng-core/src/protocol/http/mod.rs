//! HTTP/1.1, as far as protocols that begin with it need it.

mod answer;
mod body;
mod field;
mod framing;
pub mod head;
mod malformed;
mod status;

pub use answer::{Answers, Event, Head};
pub use field::{Field, FieldError, FieldFault};
pub use malformed::Malformed;
pub use status::Status;
