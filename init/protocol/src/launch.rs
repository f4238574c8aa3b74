//! Library to launcher: one socket for each open runtime, both ends from the same build.
//!
//! The helper is executed with the one argument `launcher`, an empty environment, its end of the socket pair as
//! descriptor [`SOCKET`], `/dev/null` as 0 to 2, default signal actions and an empty signal mask, and perhaps
//! with further descriptors of the host, which it closes first. It forks once; the first process exits with 0
//! at once, the second leads a session of its own and answers [`Setup`] with [`Ready`].

use crate::plan::{IdMaps, Plan};
use crate::unpack::Unpack;
use crate::{Bytes, control::Failure};
use serde::{Deserialize, Serialize};

/// The descriptor of the socket that a fresh helper is given.
pub const SOCKET: i32 = 3;

/// The first message to a fresh helper, with descriptors: the owner lock (flocked by the library, held by
/// the launcher from then on), the host's pidfd, and the listening control socket.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Setup {
    /// The launcher's private folder in the run folder (on tmpfs).
    pub run_dir: Bytes,
    /// Enter a user namespace with these maps (rootless); `None`: none.
    pub id_maps: Option<IdMaps>,
    /// Where containers are accounted; `None`: the library first has a cgroup made for the launcher. It is told the
    /// launcher's process by [`Ready::Born`], and sends a [`CgroupBase`] when it is done.
    pub cgroup: Option<CgroupBase>,
}

/// Where the cgroups of containers are made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CgroupBase {
    /// Nowhere: nothing writable.
    None,
    /// cgroup v1: controller name and existing, writable folder, in which children are made.
    V1(Vec<(String, Bytes)>),
    /// cgroup v2: existing, delegated folder with its controllers enabled for children.
    V2(Bytes),
}

/// Where the cgroup of one detached container is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Apart {
    /// Of its own, or shared with others because that can't be had.
    pub base: CgroupBase,
    /// Why it is shared.
    pub warning: Option<String>,
}

impl CgroupBase {
    /// Controllers (empty on v2) and the folders in which children are made.
    pub fn folders(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        let (v1, v2) = match self {
            CgroupBase::None => (&[][..], None),
            CgroupBase::V1(list) => (list.as_slice(), None),
            CgroupBase::V2(folder) => (&[][..], Some(("", folder))),
        };
        v1.iter().map(|(controller, folder)| (controller.as_str(), folder)).chain(v2)
    }
}

/// The launcher's answer to [`Setup`], and the library's requests after it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Ready {
    /// It is there, and waits for its cgroup.
    Born {
        /// Its process id.
        pid: i32,
    },
    /// It serves.
    Ready {
        /// Its process id.
        pid: i32,
    },
    /// It can't.
    Failed(Failure),
}

/// What the library asks a launcher. The first descriptor of each message is the connection that answers
/// come on (one end of a `SOCK_SEQPACKET` pair), as [`crate::control::Event`] documents.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Request {
    /// Start a container of which the connection is the owner: when it closes, the container dies. A stopped
    /// container may be started again with the same id over a new connection, before the old one is closed; then
    /// closing the old one deletes nothing.
    /// Descriptors after the first: those that the plan counts from 0. Answers: `started`, `exited`. The
    /// connection also takes [`crate::control::Request`]s about the container, without a `hello`.
    Start(Box<Plan>),
    /// Start a container below a monitor of its own. The second descriptor is the listening control
    /// socket, the third the owner lock of the container; then those of the plan. Answers: `started`,
    /// and `exited` if the connection is still open then. The flag: the library first has a cgroup made for the
    /// monitor, which sends [`Born`](crate::control::Event::Born) before all else, and gets an [`Apart`].
    StartDetached(Box<Plan>, bool),
    /// Unpack a layer. Second descriptor: the folder; third: the archive stream. Answer: one
    /// [`crate::unpack::Unpacked`] as JSON, or `failed`.
    Unpack(Unpack),
    /// Delete trees (rootless: their files belong to mapped ids). Answer: `done`.
    Delete(Vec<Bytes>),
    /// Finish all clean-up, then answer `done`; containers that still run are not touched.
    Settle,
}
