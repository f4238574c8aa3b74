//! Pulls, and the progress of what takes long.

use super::{ctr_image, platform};
use crate::cancel::{ctr_cancel, wait};
use crate::error::{call, ctr_error};
use crate::ffi::{
    SizedStruct, UserData, c_string, ctr_given_options, ctr_given_text, give, handle, invalid, room_for,
};
use crate::runtime::ctr_runtime;
use containers::{Auth, PullEvent, PullOptions, PullPolicy, Result};
use std::ffi::{c_char, c_void};
use std::mem::MaybeUninit;
use std::sync::Arc;

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

// SAFETY: repr(C), led by size, of pointers, optional function pointers that are only called, and
// numbers; a function pointer of the caller's is what the header asks for.
unsafe impl SizedStruct for ctr_pull_options {}

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

pub(super) fn progress(
    callback: ctr_progress,
    user_data: *mut c_void,
) -> Option<Arc<dyn Fn(PullEvent) + Send + Sync>> {
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
