//! A sweep: an experiment over one or two variables. The [`Plan`] says what varies ([`Vary`]), how often each point is tried
//! and in which [`Order`]; the [`SweepResult`] has each [`Point`] with its [`Trial`]s, and each [`Curve`] with its knee, its
//! fit and how far an [`Objective`] holds. A [`Course`] has the trials one after the other; where a search asks for them, [`mlr`]
//! says which one is next. Who makes them is not known here.

mod course;
mod curve;
pub mod mlr;
mod objective;
mod order;
mod plan;
mod point;
mod result;
mod trial;
mod vary;

pub use course::Course;
pub use curve::{Along, Curve, Estimate, Scalability};
pub use objective::{Judged, Objective};
pub use order::{Due, Order};
pub use plan::{Between, MOST_TRIALS, Plan, Restart, Sets, System, VERSION, Variable};
pub use point::{Figures, Point};
pub use result::{Searched, SweepResult};
pub use trial::{Measured, Trial, why_short};
pub use vary::{Vary, VaryError, number, parse};
