//! Lists of containers.

use super::word;
use crate::error::{call, ctr_error};
use crate::ffi::{Owner, c_string, ctr_given_options, give, handle, release, room_for};
use crate::options::ctr_list_options;
use crate::output::pointers;
use crate::runtime::ctr_runtime;
use containers::ContainerSummary;
use std::ffi::{CString, c_char, c_void};
use std::mem::MaybeUninit;

/// One row of a list of containers. Newer libraries may append fields.
#[repr(C)]
pub struct ctr_container_summary {
    /// 64 hexadecimal digits.
    pub id: *const c_char,
    /// Its name; may be empty for attached ones.
    pub name: *const c_char,
    /// The image as it was named.
    pub image: *const c_char,
    /// The image's id.
    pub image_id: *const c_char,
    /// Status word, as ctr_container_status.
    pub status: *const c_char,
    /// Entrypoint and command; ends with NULL.
    pub command: *const *const c_char,
    /// Labels: `key=value`; ends with NULL.
    pub labels: *const *const c_char,
    /// Unix time in nanoseconds.
    pub created_ns: i64,
    /// Unix time in nanoseconds of the last start; 0: never.
    pub started_ns: i64,
    /// Unix time in nanoseconds of the last end; 0: never.
    pub finished_ns: i64,
    /// Exit code of the last end; -1: there was none.
    pub exit_code: i32,
    /// 1: it lives without the process that made it.
    pub detached: i32,
    /// docker's word for its health: `starting`, `healthy`, `unhealthy`; empty: it has no health check.
    pub health: *const c_char,
    /// Names of its networks; ends with NULL.
    pub networks: *const *const c_char,
    /// What is mounted in it, by target; ends with NULL.
    pub mounts: *const *const ctr_mount_point,
}

/// Something that is mounted in a container. Newer libraries may append fields.
#[repr(C)]
pub struct ctr_mount_point {
    /// `bind`, `tmpfs` or `volume` (a folder that the image declares, kept in the container's writable layer).
    pub kind: *const c_char,
    /// Path on the host; empty unless it is a bind.
    pub source: *const c_char,
    /// Path in the container.
    pub target: *const c_char,
    /// 1: it can't be written to.
    pub read_only: i32,
}

/// The mounts of a row, ended by NULL, and what they point to.
type Mounts = (Vec<*const ctr_mount_point>, Vec<Box<ctr_mount_point>>, Vec<CString>);

fn mounts(c: &ContainerSummary) -> Mounts {
    let mut texts = Vec::new();
    let mut mounts = Vec::new();
    for m in &c.mounts {
        let own = [&m.kind, &m.source, &m.target].map(|t| c_string(t));
        let [kind, source, target] = [0, 1, 2].map(|i| own[i].as_ptr());
        mounts.push(Box::new(ctr_mount_point { kind, source, target, read_only: i32::from(m.read_only) }));
        texts.extend(own);
    }
    let list = mounts.iter().map(|m| std::ptr::from_ref(&**m)).chain([std::ptr::null()]).collect();
    (list, mounts, texts)
}

/// A list of containers.
#[repr(C)]
pub struct ctr_container_rows {
    /// Private.
    pub owner: *mut c_void,
    /// The rows; ends with NULL.
    pub items: *const *const ctr_container_summary,
    /// How many.
    pub count: usize,
}

impl From<Vec<ContainerSummary>> for ctr_container_rows {
    fn from(list: Vec<ContainerSummary>) -> Self {
        let count = list.len();
        let mut texts: Vec<Vec<CString>> = Vec::new();
        let mut lists = Vec::new();
        let mut all_mounts = Vec::new();
        let mut rows = Vec::with_capacity(count);
        for c in &list {
            let own = [&c.id, &c.name, &c.image, &c.image_id, &c.health].map(|t| c_string(t));
            let own: Vec<CString> = own.into_iter().chain([c_string(word(c.status))]).collect();
            let command: Vec<CString> = c.command.iter().map(|t| c_string(t)).collect();
            let labels: Vec<CString> = c.labels.iter().map(|(k, v)| c_string(&format!("{k}={v}"))).collect();
            let networks: Vec<CString> = c.networks.iter().map(|t| c_string(t)).collect();
            let [command_list, label_list, network_list] =
                [&command, &labels, &networks].map(|t| pointers(t));
            let mounts = mounts(c);
            rows.push(Box::new(ctr_container_summary {
                id: own[0].as_ptr(),
                name: own[1].as_ptr(),
                image: own[2].as_ptr(),
                image_id: own[3].as_ptr(),
                status: own[5].as_ptr(),
                command: command_list.as_ptr(),
                labels: label_list.as_ptr(),
                created_ns: c.created,
                started_ns: c.started_at,
                finished_ns: c.finished_at,
                exit_code: c.exit_code.unwrap_or(-1),
                detached: i32::from(c.detached),
                health: own[4].as_ptr(),
                networks: network_list.as_ptr(),
                mounts: mounts.0.as_ptr(),
            }));
            // Moving a CString or a Vec does not move what it points to.
            texts.extend([own, command, labels, networks]);
            lists.extend([command_list, label_list, network_list]);
            all_mounts.push(mounts);
        }
        let items: Vec<*const ctr_container_summary> =
            rows.iter().map(|r| std::ptr::from_ref(&**r)).chain([std::ptr::null()]).collect();
        let (owner, (items, ..)) = Owner::of((items, rows, lists, texts, all_mounts));
        ctr_container_rows { owner: owner.into_raw(), items: items.as_ptr(), count }
    }
}

impl Drop for ctr_container_rows {
    fn drop(&mut self) {
        Owner::drop_raw(self.owner);
    }
}

/// Lists containers, newest first, in `*list`; free it with ctr_container_rows_free. Any thread; does not block.
///
/// `options` may be NULL: those that run.
///
/// Errors: CTR_E_INVALID_ARGUMENT for an unknown filter, CTR_E_HANDLE_CLOSED, CTR_E_IO.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_container_list(
    runtime: Option<&ctr_runtime>,
    options: ctr_given_options<ctr_list_options>,
    list: Option<&mut MaybeUninit<*mut ctr_container_rows>>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("container.list", error, || {
        let room = room_for("list", list)?;
        let options = options.read("options")?.into_options()?;
        let containers = handle("runtime", runtime)?.runtime.containers();
        give(room, ctr_container_rows::from(containers.list(&options)?));
        Ok(())
    })
}

/// Frees a list of containers; NULL is fine. Any thread; does not block.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_container_rows_free(list: Option<Box<ctr_container_rows>>) {
    release(list);
}
