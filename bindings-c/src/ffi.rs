//! Everything that touches raw pointers: text, lists and sized structs from the caller, memory given to it.

use containers::{Error, ErrorKind, Result};
use std::ffi::{CStr, CString, c_char, c_void};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::sync::Mutex;

/// The longest text accepted, without its end.
const MAX_TEXT: usize = 4 << 20;
/// The most entries of a list accepted.
const MAX_ENTRIES: usize = 65_536;
/// The largest options struct accepted.
const MAX_STRUCT: usize = 65_536;

/// A value that can never work; `field` names the argument.
pub fn invalid(field: &str, why: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidArgument, format!("{field} {why}")).with_context("field", field)
}

/// A handle that must be there.
pub fn handle<'a, T>(name: &str, given: Option<&'a T>) -> Result<&'a T> {
    given.ok_or_else(|| invalid(name, "is NULL"))
}

/// Room for a result that must be there.
pub fn room<'a, T>(name: &str, given: Option<&'a mut MaybeUninit<T>>) -> Result<&'a mut MaybeUninit<T>> {
    given.ok_or_else(|| invalid(name, "is NULL"))
}

/// Room for a pointer that must be there; it is NULL from now on.
pub fn room_for<'a, T>(
    name: &str,
    given: Option<&'a mut MaybeUninit<*mut T>>,
) -> Result<&'a mut MaybeUninit<*mut T>> {
    let room = room(name, given)?;
    room.write(std::ptr::null_mut());
    Ok(room)
}

/// Gives a value to the caller, who gives it back to a `ctr_*_free`, a function that takes `Box<T>`.
pub fn give<T>(room: &mut MaybeUninit<*mut T>, value: T) {
    room.write(Box::into_raw(Box::new(value)));
}

/// Runs what a `ctr_*_free` does; a panic ends there.
pub fn release<T>(value: Option<Box<T>>) {
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(value)));
}

/// Text from the caller: NULL, or bytes that end with NUL and stay during the call.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct ctr_given_text(*const c_char);

impl ctr_given_text {
    /// The text; `None`: NULL.
    pub fn optional<'a>(self, name: &str) -> Result<Option<&'a str>> {
        if self.0.is_null() {
            return Ok(None);
        }
        // SAFETY: not NULL, and values of this type come only from C, where the header asks for text that
        // ends with NUL and is borrowed for the call; the result is used during the call only.
        let bytes = unsafe { bounded_text(self.0) };
        let bytes = bytes.ok_or_else(|| invalid(name, format_args!("is longer than {MAX_TEXT} bytes")))?;
        std::str::from_utf8(bytes).map(Some).map_err(|e| invalid(name, "is not UTF-8").with_source(e))
    }

    /// The text, which must be there.
    pub fn required<'a>(self, name: &str) -> Result<&'a str> {
        self.optional(name)?.ok_or_else(|| invalid(name, "is NULL"))
    }

    /// A copy of the text.
    pub fn owned(self, name: &str) -> Result<Option<String>> {
        Ok(self.optional(name)?.map(str::to_owned))
    }
}

/// The bytes before the NUL; `None`: there are too many.
///
/// # Safety
/// `text` points to bytes that end with NUL.
unsafe fn bounded_text<'a>(text: *const c_char) -> Option<&'a [u8]> {
    // SAFETY: the caller's promise is CStr's.
    let bytes = unsafe { CStr::from_ptr(text) }.to_bytes();
    (bytes.len() <= MAX_TEXT).then_some(bytes)
}

/// A list of texts from the caller: NULL, or pointers that end with NULL.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct ctr_given_texts(*const *const c_char);

impl ctr_given_texts {
    /// The list; `None`: NULL.
    pub fn optional(self, name: &str) -> Result<Option<Vec<String>>> {
        if self.0.is_null() {
            return Ok(None);
        }
        let mut texts = Vec::new();
        // SAFETY: the list comes from C, where the header asks for pointers that end with NULL; entries up
        // to and including the NULL are read, each of them once.
        while let Some(text) = unsafe { entry(self.0, texts.len()) } {
            if texts.len() == MAX_ENTRIES {
                return Err(invalid(name, format_args!("has more than {MAX_ENTRIES} entries")));
            }
            texts.push(ctr_given_text(text).required(name)?.to_owned());
        }
        Ok(Some(texts))
    }

    /// The list; NULL is an empty one.
    pub fn all(self, name: &str) -> Result<Vec<String>> {
        Ok(self.optional(name)?.unwrap_or_default())
    }

    /// Entries of key, separator, value.
    pub fn pairs<C: FromIterator<(String, String)>>(self, name: &str, separator: char) -> Result<C> {
        let split = |text: String| match text.split_once(separator) {
            Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
            None => Err(invalid(name, format_args!("has an entry without {separator}: {text}"))),
        };
        self.all(name)?.into_iter().map(split).collect()
    }
}

/// The pointer at `index`; `None`: it is NULL.
///
/// # Safety
/// `list` points to pointers that end with NULL, and the ones before `index` are not NULL.
unsafe fn entry<T>(list: *const *const T, index: usize) -> Option<*const T> {
    // SAFETY: `index` is at most that of the NULL.
    let pointer = unsafe { list.add(index).read() };
    (!pointer.is_null()).then_some(pointer)
}

/// A struct led by `size`, whose bytes may be read and which may be all zero.
///
/// # Safety
/// `repr(C)`, the first field is `size: usize`, all bit patterns of all fields are valid, and it has no
/// destructor.
pub unsafe trait SizedStruct: Copy {}

/// Options from the caller: NULL, or a struct led by its size.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct ctr_given_options<T>(*const T, PhantomData<T>);

impl<T: SizedStruct> ctr_given_options<T> {
    /// The options as this library knows them; NULL gives a zeroed struct.
    pub fn read(self, name: &str) -> Result<T> {
        // SAFETY: by SizedStruct's contract zero is a valid value.
        let mut known = unsafe { MaybeUninit::<T>::zeroed().assume_init() };
        if self.0.is_null() {
            return Ok(known);
        }
        // SAFETY: not NULL, so by the header a struct led by `size`.
        let size = unsafe { self.0.cast::<usize>().read() };
        if !(size_of::<usize>()..=MAX_STRUCT).contains(&size) {
            return Err(invalid(name, format_args!("has an impossible size, {size}: set it to sizeof")));
        }
        // SAFETY: the header asks for `size` readable bytes.
        let given = unsafe { std::slice::from_raw_parts(self.0.cast::<u8>(), size) };
        let shared = size.min(size_of::<T>());
        if given[shared..].iter().any(|b| *b != 0) {
            return Err(invalid(name, "has fields that this version of the library does not know"));
        }
        // SAFETY: `shared` bytes are readable there and writable here, and any bytes make a valid T.
        unsafe { std::ptr::copy_nonoverlapping(given.as_ptr(), (&raw mut known).cast::<u8>(), shared) };
        Ok(known)
    }

    /// The options; `None`: NULL.
    pub fn optional(self, name: &str) -> Result<Option<T>> {
        if self.0.is_null() { Ok(None) } else { self.read(name).map(Some) }
    }
}

/// A list of sized structs from the caller: NULL, or pointers that end with NULL.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct ctr_given_mounts(*const *const crate::options::ctr_mount);

impl ctr_given_mounts {
    /// The entries.
    pub fn all(self, name: &str) -> Result<Vec<crate::options::ctr_mount>> {
        let mut all = Vec::new();
        if self.0.is_null() {
            return Ok(all);
        }
        // SAFETY: as in `ctr_given_texts::optional`.
        while let Some(pointer) = unsafe { entry(self.0, all.len()) } {
            if all.len() == MAX_ENTRIES {
                return Err(invalid(name, format_args!("has more than {MAX_ENTRIES} entries")));
            }
            all.push(ctr_given_options(pointer, PhantomData).read(name)?);
        }
        Ok(all)
    }
}

/// The cancel handle of an options struct.
pub fn cancel<'a>(pointer: *const crate::cancel::ctr_cancel) -> Option<&'a crate::cancel::ctr_cancel> {
    // SAFETY: NULL or by the header a handle that is not freed while the call uses it.
    unsafe { pointer.as_ref() }
}

/// Bytes from the caller that stay during the call; NULL only without size.
pub fn bytes<'a>(name: &str, data: *const c_void, size: usize) -> Result<&'a [u8]> {
    if size == 0 {
        return Ok(&[]);
    }
    if data.is_null() {
        return Err(invalid(name, "is NULL"));
    }
    if size > isize::MAX as usize {
        return Err(invalid(name, "has an impossible size"));
    }
    // SAFETY: not NULL, the size fits, and the header asks for that many readable bytes during the call.
    Ok(unsafe { std::slice::from_raw_parts(data.cast::<u8>(), size) })
}

/// A buffer of the caller that stays during the call.
pub fn buffer<'a>(name: &str, data: *mut c_void, size: usize) -> Result<&'a mut [MaybeUninit<u8>]> {
    if data.is_null() || size == 0 {
        return Err(invalid(name, "is NULL or has no size"));
    }
    if size > isize::MAX as usize {
        return Err(invalid(name, "has an impossible size"));
    }
    // SAFETY: not NULL, the size fits, and the header asks for that many writable bytes that nobody else
    // uses during the call; they need not be initialized.
    Ok(unsafe { std::slice::from_raw_parts_mut(data.cast(), size) })
}

/// Text for C; a NUL inside, which C could not see past, becomes `\0`.
pub fn c_string(text: &str) -> CString {
    CString::new(text)
        .unwrap_or_else(|_| CString::new(text.replace('\0', "\\0")).expect("there is no NUL any more"))
}

/// Texts that live as long as the handle they belong to.
#[derive(Default)]
pub struct Texts(Mutex<Vec<CString>>);

impl Texts {
    /// The same text as a pointer that stays valid while `self` does.
    pub fn keep(&self, text: &str) -> *const c_char {
        let wanted = c_string(text);
        let mut kept = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(same) = kept.iter().find(|t| **t == wanted) {
            return same.as_ptr();
        }
        let pointer = wanted.as_ptr();
        // Moving the CString does not move its bytes.
        kept.push(wanted);
        pointer
    }
}

/// What owns the memory behind the pointers of a struct that C reads.
pub struct Owner(*mut c_void, fn(*mut c_void));

impl Owner {
    /// Takes over a value; it is dropped with the returned owner, and does not move until then.
    pub fn of<T>(value: T) -> (Owner, &'static T) {
        fn drop_it<T>(pointer: *mut c_void) {
            // SAFETY: `of` made the pointer from a Box<T> of this very T, and Owner's drop runs once.
            drop(unsafe { Box::from_raw(pointer.cast::<T>()) });
        }
        let pointer = Box::into_raw(Box::new(value));
        // SAFETY: just made, and it lives until the owner is dropped; callers put the reference only into
        // pointers beside the owner.
        (Owner(pointer.cast(), drop_it::<T>), unsafe { &*pointer })
    }

    /// As a pointer for a private field of a C struct.
    pub fn into_raw(self) -> *mut c_void {
        Box::into_raw(Box::new(self)).cast()
    }

    /// Drops what [`Owner::into_raw`] made; NULL is fine.
    pub fn drop_raw(pointer: *mut c_void) {
        if !pointer.is_null() {
            // SAFETY: the field is private by the header's words and was made by `into_raw`; the struct it is
            // in is dropped once.
            drop(unsafe { Box::from_raw(pointer.cast::<Owner>()) });
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        (self.1)(self.0);
    }
}

/// Text that [`give_text`] made, taken back.
pub fn take_text(text: *mut c_char) {
    if !text.is_null() {
        // SAFETY: the header allows only what `give_text` gave, once.
        drop(unsafe { CString::from_raw(text) });
    }
}

/// Gives text to the caller, who gives it back to `ctr_string_free`.
pub fn give_text(room: &mut MaybeUninit<*mut c_char>, text: &str) {
    room.write(c_string(text).into_raw());
}

/// A pointer of the caller that is handed back to it, on whichever thread.
#[derive(Clone, Copy)]
pub struct UserData(pub *mut c_void);

// SAFETY: the library never looks behind the pointer; the header tells that the callback may come on another
// thread.
unsafe impl Send for UserData {}
// SAFETY: as above.
unsafe impl Sync for UserData {}

impl UserData {
    /// The pointer (a method, so that closures take the whole value).
    pub fn get(self) -> *mut c_void {
        self.0
    }
}
