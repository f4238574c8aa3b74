//! Images.

use crate::error::{call, ctr_error};
use crate::ffi::{
    Texts, ctr_given_text, ctr_given_texts, give, give_text, handle, invalid, release, room, room_for,
};
use crate::runtime::{ctr_runtime, to_json};
use containers::{Image, Platform, Result};
use std::ffi::c_char;
use std::mem::MaybeUninit;

mod pull;

mod archive;

mod rows;

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
