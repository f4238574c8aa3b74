//! Control groups: where containers are accounted, on v1 and v2.

pub(crate) mod convert;
#[cfg(feature = "engine")]
mod detect;
pub(crate) mod hierarchy;
#[cfg(feature = "engine")]
mod limits;
#[cfg(feature = "engine")]
mod scope;
pub(crate) mod systemd;

#[cfg(feature = "engine")]
pub(crate) use detect::Cgroups;
#[cfg(feature = "engine")]
pub(crate) use limits::{Limits, Use};
