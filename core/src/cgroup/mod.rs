//! Control groups: where containers are accounted, on v1 and v2.

pub(crate) mod convert;
mod detect;
pub(crate) mod hierarchy;
mod limits;
mod scope;
pub(crate) mod systemd;

pub(crate) use detect::Cgroups;
pub(crate) use limits::{Limits, Use};
