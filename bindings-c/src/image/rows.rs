//! Lists of images.

use crate::error::{call, ctr_error};
use crate::ffi::{Owner, c_string, give, handle, release, room_for};
use crate::output::pointers;
use crate::runtime::ctr_runtime;
use containers::ImageSummary;
use std::ffi::{CString, c_char, c_void};
use std::mem::MaybeUninit;

/// One row of a list of images. Newer libraries may append fields.
#[repr(C)]
pub struct ctr_image_summary {
    /// `sha256:…` of the configuration.
    pub id: *const c_char,
    /// References with tags; ends with NULL.
    pub tags: *const *const c_char,
    /// References with digests; ends with NULL.
    pub digests: *const *const c_char,
    /// Unix time in nanoseconds.
    pub created_ns: i64,
    /// Unpacked bytes.
    pub bytes: u64,
}

/// A list of images.
#[repr(C)]
pub struct ctr_image_rows {
    /// Private.
    pub owner: *mut c_void,
    /// The rows; ends with NULL.
    pub items: *const *const ctr_image_summary,
    /// How many.
    pub count: usize,
}

impl From<Vec<ImageSummary>> for ctr_image_rows {
    fn from(list: Vec<ImageSummary>) -> Self {
        let count = list.len();
        let mut texts: Vec<Vec<CString>> = Vec::new();
        let mut lists = Vec::new();
        let mut rows = Vec::with_capacity(count);
        for image in &list {
            let id = c_string(&image.id);
            let tags: Vec<CString> = image.tags.iter().map(|t| c_string(t)).collect();
            let digests: Vec<CString> = image.digests.iter().map(|t| c_string(t)).collect();
            let (tag_list, digest_list) = (pointers(&tags), pointers(&digests));
            rows.push(Box::new(ctr_image_summary {
                id: id.as_ptr(),
                tags: tag_list.as_ptr(),
                digests: digest_list.as_ptr(),
                created_ns: image.created,
                bytes: image.size,
            }));
            // Moving a CString or a Vec does not move what it points to.
            texts.extend([vec![id], tags, digests]);
            lists.extend([tag_list, digest_list]);
        }
        let items: Vec<*const ctr_image_summary> =
            rows.iter().map(|r| std::ptr::from_ref(&**r)).chain([std::ptr::null()]).collect();
        let (owner, (items, ..)) = Owner::of((items, rows, lists, texts));
        ctr_image_rows { owner: owner.into_raw(), items: items.as_ptr(), count }
    }
}

impl Drop for ctr_image_rows {
    fn drop(&mut self) {
        Owner::drop_raw(self.owner);
    }
}

/// Lists images, newest first, in `*list`; free it with ctr_image_rows_free. Any thread; does not block.
///
/// Errors: CTR_E_HANDLE_CLOSED, CTR_E_IO.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_image_list(
    runtime: Option<&ctr_runtime>,
    list: Option<&mut MaybeUninit<*mut ctr_image_rows>>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("image.list", error, || {
        let room = room_for("list", list)?;
        give(room, ctr_image_rows::from(handle("runtime", runtime)?.runtime.images().list()?));
        Ok(())
    })
}

/// Frees a list of images; NULL is fine. Any thread; does not block.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_image_rows_free(list: Option<Box<ctr_image_rows>>) {
    release(list);
}
