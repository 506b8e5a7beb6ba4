//! HTTP/1.1, as far as protocols that begin with it need it.

mod field;
pub mod head;
mod status;

pub use field::{Field, FieldError, FieldFault};
pub use status::Status;
