//! Control groups: where containers are accounted, on v1 and v2.

mod detect;
mod limits;

pub(crate) use detect::Cgroups;
pub(crate) use limits::{Limits, Use};
