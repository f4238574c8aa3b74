//! Images.

use crate::cancel::{ctr_cancel, wait};
use crate::error::{call, ctr_error};
use crate::ffi::{
    Owner, SizedStruct, Texts, UserData, c_string, ctr_given_options, ctr_given_text, ctr_given_texts, give,
    give_text, handle, invalid, release, room, room_for,
};
use crate::output::pointers;
use crate::runtime::{ctr_runtime, to_json};
use containers::{
    Auth, Image, ImageSummary, ImportOptions, LoadOptions, Platform, PullEvent, PullOptions, PullPolicy,
    Result,
};
use std::ffi::{CString, c_char, c_void};
use std::mem::MaybeUninit;
use std::sync::Arc;

/// One image. It holds its runtime open.
pub struct ctr_image {
    image: Image,
    texts: Texts,
}

impl From<Image> for ctr_image {
    fn from(image: Image) -> Self {
        ctr_image { image, texts: Texts::default() }
    }
}

/// The reference was resolved: `digest`, `layers`, `total`.
pub const CTR_PULL_RESOLVED: i32 = 1;
/// A layer is here already: `layer`.
pub const CTR_PULL_EXISTS: i32 = 2;
/// Bytes of a layer arrived: `layer`, `current`, `total`.
pub const CTR_PULL_DOWNLOADING: i32 = 3;
/// A layer has arrived and is being unpacked: `layer`.
pub const CTR_PULL_EXTRACTING: i32 = 4;
/// A layer is complete: `layer`.
pub const CTR_PULL_DONE: i32 = 5;
/// The image is complete: `id`, `fetched`.
pub const CTR_PULL_COMPLETE: i32 = 6;

/// Progress of a pull or load. What an event does not have is NULL or 0. Newer libraries may append fields and add
/// kinds.
#[repr(C)]
pub struct ctr_pull_event {
    /// CTR_PULL_*.
    pub kind: i32,
    /// 1: something was fetched.
    pub fetched: i32,
    /// Digest of the layer.
    pub layer: *const c_char,
    /// Digest of the manifest.
    pub digest: *const c_char,
    /// Id of the image.
    pub id: *const c_char,
    /// Bytes so far.
    pub current: u64,
    /// Bytes in all.
    pub total: u64,
    /// Layers to have.
    pub layers: u64,
}

/// Called with progress while the call that got it lasts, maybe on another thread, by one thread at a time. The
/// event and its texts are gone when it returns. It must not call back into the library for long, throw, or
/// longjmp.
pub type ctr_progress = Option<extern "C" fn(event: *const ctr_pull_event, user_data: *mut c_void)>;

/// How to pull.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ctr_pull_options {
    /// sizeof(ctr_pull_options).
    pub size: usize,
    /// `os/arch[/variant]`; NULL: this machine's.
    pub platform: ctr_given_text,
    /// `missing`, `always` or `never`; NULL: `missing`.
    pub policy: ctr_given_text,
    /// User name; NULL: from the credential files.
    pub username: ctr_given_text,
    /// Password, with `username`.
    pub password: ctr_given_text,
    /// An OAuth2 refresh token instead.
    pub identity_token: ctr_given_text,
    /// 1: allow plain HTTP and unverified certificates.
    pub insecure: i32,
    /// Called with progress; NULL: nobody is.
    pub progress: ctr_progress,
    /// Handed to `progress`.
    pub user_data: *mut c_void,
    /// Ends the pull; NULL: nothing does.
    pub cancel: *const ctr_cancel,
}

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
unsafe impl SizedStruct for ctr_pull_options {}
// SAFETY: as above.
unsafe impl SizedStruct for ctr_load_options {}
// SAFETY: as above.
unsafe impl SizedStruct for ctr_import_options {}

fn platform(given: ctr_given_text) -> Result<Option<Platform>> {
    let Some(text) = given.optional("platform")? else { return Ok(None) };
    let mut parts = text.splitn(3, '/').map(str::to_owned);
    match (parts.next(), parts.next(), parts.next()) {
        (Some(os), Some(architecture), variant) if !os.is_empty() && !architecture.is_empty() => {
            Ok(Some(Platform { os, architecture, variant }))
        }
        _ => Err(invalid("platform", format_args!("is not os/arch[/variant]: {text}"))),
    }
}

fn auth(given: &ctr_pull_options) -> Result<Option<Auth>> {
    let username = given.username.owned("username")?;
    let password = given.password.owned("password")?;
    let identity_token = given.identity_token.owned("identity_token")?;
    if username.is_none() && identity_token.is_none() {
        return match password {
            Some(_) => Err(invalid("username", "is NULL, but there is a password")),
            None => Ok(None),
        };
    }
    let (username, password) = (username.unwrap_or_default(), password.unwrap_or_default());
    Ok(Some(Auth { username, password, identity_token }))
}

fn progress(callback: ctr_progress, user_data: *mut c_void) -> Option<Arc<dyn Fn(PullEvent) + Send + Sync>> {
    let callback = callback?;
    let user_data = UserData(user_data);
    // The header promises one thread at a time.
    let one_at_a_time = std::sync::Mutex::new(());
    Some(Arc::new(move |event| {
        let _turn = one_at_a_time.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        tell(callback, user_data.get(), event);
    }))
}

fn tell(
    callback: extern "C" fn(*const ctr_pull_event, *mut c_void),
    user_data: *mut c_void,
    event: PullEvent,
) {
    let none = std::ptr::null();
    let mut told = ctr_pull_event {
        kind: 0,
        fetched: 0,
        layer: none,
        digest: none,
        id: none,
        current: 0,
        total: 0,
        layers: 0,
    };
    let text;
    match event {
        PullEvent::Resolved { digest, layers, total } => {
            text = c_string(&digest);
            (told.kind, told.digest, told.layers, told.total) =
                (CTR_PULL_RESOLVED, text.as_ptr(), layers, total);
        }
        PullEvent::Exists { layer } => {
            text = c_string(&layer);
            (told.kind, told.layer) = (CTR_PULL_EXISTS, text.as_ptr());
        }
        PullEvent::Downloading { layer, current, total } => {
            text = c_string(&layer);
            (told.kind, told.layer, told.current, told.total) =
                (CTR_PULL_DOWNLOADING, text.as_ptr(), current, total);
        }
        PullEvent::Extracting { layer } => {
            text = c_string(&layer);
            (told.kind, told.layer) = (CTR_PULL_EXTRACTING, text.as_ptr());
        }
        PullEvent::Done { layer } => {
            text = c_string(&layer);
            (told.kind, told.layer) = (CTR_PULL_DONE, text.as_ptr());
        }
        PullEvent::Complete { id, fetched } => {
            text = c_string(&id);
            (told.kind, told.id, told.fetched) = (CTR_PULL_COMPLETE, text.as_ptr(), i32::from(fetched));
        }
        // Not in this header yet.
        _ => return,
    }
    callback(&raw const told, user_data);
}

/// Fetches an image into `*image`; free it with ctr_image_free. Any thread; may block.
///
/// `reference` names it as docker does: `debian:12`, `localhost:5000/app@sha256:…`. `options` may be NULL.
///
/// Errors: CTR_E_INVALID_ARGUMENT for a malformed reference, CTR_E_IMAGE_NOT_FOUND, CTR_E_AUTH, CTR_E_REGISTRY,
/// CTR_E_CORRUPT for content that is not what its digest says, CTR_E_LIMIT_EXCEEDED, CTR_E_CANCELLED, CTR_E_IO.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_image_pull(
    runtime: Option<&ctr_runtime>,
    reference: ctr_given_text,
    options: ctr_given_options<ctr_pull_options>,
    image: Option<&mut MaybeUninit<*mut ctr_image>>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("image.pull", error, || {
        let room = room_for("image", image)?;
        let runtime = handle("runtime", runtime)?;
        let given = options.read("options")?;
        let mut o = PullOptions::default();
        o.platform = platform(given.platform)?;
        o.policy = match given.policy.optional("policy")? {
            None | Some("missing") => PullPolicy::Missing,
            Some("always") => PullPolicy::Always,
            Some("never") => PullPolicy::Never,
            Some(other) => return Err(invalid("policy", format_args!("is unknown: {other}"))),
        };
        o.auth = auth(&given)?;
        o.insecure = given.insecure != 0;
        o.progress = progress(given.progress, given.user_data);
        let reference = reference.required("reference")?;
        let cancel = crate::ffi::cancel(given.cancel);
        let pulled = wait(cancel, runtime.runtime.images().pull_with(reference, o))?;
        give(room, ctr_image::from(pulled));
        Ok(())
    })
}

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

/// Finds an image by reference, id, unique beginning of an id, or `host`, in `*image`; free it with
/// ctr_image_free. Any thread; does not block.
///
/// Errors: CTR_E_IMAGE_NOT_FOUND, CTR_E_INVALID_ARGUMENT for a malformed reference.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_image_get(
    runtime: Option<&ctr_runtime>,
    reference: ctr_given_text,
    image: Option<&mut MaybeUninit<*mut ctr_image>>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("image.get", error, || {
        let room = room_for("image", image)?;
        let images = handle("runtime", runtime)?.runtime.images();
        give(room, ctr_image::from(images.get(reference.required("reference")?)?));
        Ok(())
    })
}

/// The machine's own system as an image, in `*image`: /usr, /bin, /sbin, /lib*, /opt and a filtered /etc,
/// read-only below a throw-away writable layer. Its id names it where a container is created. Free it with
/// ctr_image_free. Any thread; does not block.
///
/// `paths` are further host folders to show; it may be NULL.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_image_host(
    paths: ctr_given_texts,
    image: Option<&mut MaybeUninit<*mut ctr_image>>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("image.host", error, || {
        let room = room_for("image", image)?;
        give(room, ctr_image::from(Image::host(paths.all("paths")?)));
        Ok(())
    })
}

/// Removes a reference, and the image when it was the last one; by id all of them. `force` is 0 or 1. Any thread;
/// may block for a moment.
///
/// Errors: CTR_E_IMAGE_NOT_FOUND, CTR_E_IN_USE while a container needs it (unless forced).
#[unsafe(no_mangle)]
pub extern "C" fn ctr_image_remove(
    runtime: Option<&ctr_runtime>,
    reference: ctr_given_text,
    force: i32,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("image.remove", error, || {
        let images = handle("runtime", runtime)?.runtime.images();
        images.remove(reference.required("reference")?, force != 0)
    })
}

/// Gives an image a further reference. Any thread; does not block.
///
/// Errors: CTR_E_INVALID_ARGUMENT for a malformed reference.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_image_tag(
    image: Option<&ctr_image>,
    reference: ctr_given_text,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("image.tag", error, || handle("image", image)?.image.tag(reference.required("reference")?))
}

/// `sha256:…` of an image's configuration, in `*id`; it names the image in every call. It lives as long as the
/// handle. Any thread; does not block.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_image_id(
    image: Option<&ctr_image>,
    id: Option<&mut MaybeUninit<*const c_char>>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("image.id", error, || {
        let image = handle("image", image)?;
        room("id", id)?.write(image.texts.keep(image.image.id()));
        Ok(())
    })
}

/// Digest of an image's manifest, in `*digest`; lives as long as the handle. Any thread; does not block.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_image_digest(
    image: Option<&ctr_image>,
    digest: Option<&mut MaybeUninit<*const c_char>>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("image.digest", error, || {
        let image = handle("image", image)?;
        room("digest", digest)?.write(image.texts.keep(image.image.digest()));
        Ok(())
    })
}

/// Unpacked bytes of an image, in `*bytes`. Any thread; does not block.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_image_size(
    image: Option<&ctr_image>,
    bytes: Option<&mut MaybeUninit<u64>>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("image.size", error, || {
        room("bytes", bytes)?.write(handle("image", image)?.image.size());
        Ok(())
    })
}

/// References of an image with tags, as a JSON list in `*json`; free it with ctr_string_free. Any thread; does
/// not block.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_image_tags(
    image: Option<&ctr_image>,
    json: Option<&mut MaybeUninit<*mut c_char>>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("image.tags", error, || {
        let room = room_for("json", json)?;
        give_text(room, &to_json(&handle("image", image)?.image.tags())?);
        Ok(())
    })
}

/// What containers take over from an image (env, entrypoint, cmd, working_dir, user…), as a JSON object in
/// `*json`; free it with ctr_string_free. Any thread; does not block.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_image_config(
    image: Option<&ctr_image>,
    json: Option<&mut MaybeUninit<*mut c_char>>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("image.config", error, || {
        let room = room_for("json", json)?;
        give_text(room, &to_json(handle("image", image)?.image.config())?);
        Ok(())
    })
}

/// Everything about an image, as docker's inspect document, JSON in `*json`; free it with ctr_string_free. Any
/// thread; does not block.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_image_inspect(
    image: Option<&ctr_image>,
    json: Option<&mut MaybeUninit<*mut c_char>>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("image.inspect", error, || {
        let room = room_for("json", json)?;
        give_text(room, &to_json(&handle("image", image)?.image.inspect()?)?);
        Ok(())
    })
}

/// How an image came to be, newest first, as a JSON list of objects (created in Unix nanoseconds, created_by,
/// size, comment, empty_layer) in `*json`; free it with ctr_string_free. Any thread; does not block.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_image_history(
    image: Option<&ctr_image>,
    json: Option<&mut MaybeUninit<*mut c_char>>,
    error: Option<&mut MaybeUninit<*mut ctr_error>>,
) -> i32 {
    call("image.history", error, || {
        let room = room_for("json", json)?;
        give_text(room, &to_json(&handle("image", image)?.image.history())?);
        Ok(())
    })
}

/// Frees an image handle, not the image; NULL is fine. Any thread; does not block.
#[unsafe(no_mangle)]
pub extern "C" fn ctr_image_free(image: Option<Box<ctr_image>>) {
    release(image);
}

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
