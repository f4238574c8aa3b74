//! Images from files.

use super::pull::{ctr_progress, progress};
use super::rows::ctr_image_rows;
use super::{ctr_image, platform};
use crate::cancel::{ctr_cancel, wait};
use crate::error::{call, ctr_error};
use crate::ffi::{SizedStruct, ctr_given_options, ctr_given_text, ctr_given_texts, give, handle, room_for};
use crate::runtime::ctr_runtime;
use containers::{Image, ImportOptions, LoadOptions};
use std::ffi::c_void;
use std::mem::MaybeUninit;

/// How to load an archive.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ctr_load_options {
    /// sizeof(ctr_load_options).
    pub size: usize,
    /// `os/arch[/variant]`; NULL: this machine's.
    pub platform: ctr_given_text,
    /// Called with progress; NULL: nobody is.
    pub progress: ctr_progress,
    /// Handed to `progress`.
    pub user_data: *mut c_void,
    /// Ends the load; NULL: nothing does.
    pub cancel: *const ctr_cancel,
}

/// How to import a root file system.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ctr_import_options {
    /// sizeof(ctr_import_options).
    pub size: usize,
    /// Reference to give it; NULL: none.
    pub tag: ctr_given_text,
    /// Dockerfile instructions applied to its configuration: `CMD ["sh"]`, `ENV A=b`.
    pub changes: ctr_given_texts,
    /// Comment in its history.
    pub message: ctr_given_text,
    /// `os/arch[/variant]`; NULL: this machine's.
    pub platform: ctr_given_text,
    /// Ends the import; NULL: nothing does.
    pub cancel: *const ctr_cancel,
}

// SAFETY: repr(C), led by size, of pointers, optional function pointers that are only called, and
// numbers; a function pointer of the caller's is what the header asks for.
unsafe impl SizedStruct for ctr_load_options {}
// SAFETY: as above.
unsafe impl SizedStruct for ctr_import_options {}

/// Loads all images of an OCI layout (folder or tar) or a docker-archive. `*list` gets what came; free it with
/// ctr_image_rows_free. Any thread; may block.
///
/// `path` is a path on the host, `options` may be NULL.
///
/// Errors: CTR_E_PATH_NOT_FOUND, CTR_E_INVALID_ARGUMENT for something else, CTR_E_CORRUPT, CTR_E_LIMIT_EXCEEDED,
/// CTR_E_CANCELLED, CTR_E_IO.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_image_load(
    runtime: Option<&ctr_runtime>,
    path: ctr_given_text,
    options: ctr_given_options<ctr_load_options>,
    list: Option<&mut MaybeUninit<*mut ctr_image_rows>>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("image.load", error, || {
        let room = room_for("list", list)?;
        let runtime = handle("runtime", runtime)?;
        let given = options.read("options")?;
        let mut o = LoadOptions::default();
        o.platform = platform(given.platform)?;
        o.progress = progress(given.progress, given.user_data);
        let path = path.required("path")?;
        let images = runtime.runtime.images();
        let loaded = wait(crate::ffi::cancel(given.cancel), images.load(path, o))?;
        let ids: Vec<&str> = loaded.iter().map(Image::id).collect();
        let all = images.list()?;
        give(
            room,
            ctr_image_rows::from(
                all.into_iter().filter(|i| ids.contains(&i.id.as_str())).collect::<Vec<_>>(),
            ),
        );
        Ok(())
    })
}

/// Makes an image of one layer from a tar of a root file system (plain, gzip or zstd) in `*image`; free it with
/// ctr_image_free. Any thread; may block.
///
/// `path` is a path on the host, `options` may be NULL.
///
/// Errors: CTR_E_PATH_NOT_FOUND, CTR_E_INVALID_ARGUMENT for something else than a tar or an unknown change,
/// CTR_E_LIMIT_EXCEEDED, CTR_E_CANCELLED, CTR_E_IO.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_image_import(
    runtime: Option<&ctr_runtime>,
    path: ctr_given_text,
    options: ctr_given_options<ctr_import_options>,
    image: Option<&mut MaybeUninit<*mut ctr_image>>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("image.import", error, || {
        let room = room_for("image", image)?;
        let runtime = handle("runtime", runtime)?;
        let given = options.read("options")?;
        let mut o = ImportOptions::default();
        o.tag = given.tag.owned("tag")?;
        o.changes = given.changes.all("changes")?;
        o.message = given.message.owned("message")?;
        o.platform = platform(given.platform)?;
        let path = path.required("path")?;
        let imported = wait(crate::ffi::cancel(given.cancel), runtime.runtime.images().import_(path, o))?;
        give(room, ctr_image::from(imported));
        Ok(())
    })
}
