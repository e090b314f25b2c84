//! The part of the C surface that deals with security layers; the rules are those of the crate.

use std::ptr;
use std::sync::{Arc, Mutex};

use authen_sasl_rust::error::Error;
use authen_sasl_rust::layer::{lock, SharedLayer, Stream};

use super::handle::Handle;
use super::names;
use super::shielded::{shielded, DEFECT};
use super::slice::Slice;

/// Bit 0: data is protected by a layer. Bit 1: the layer has ended by an error.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_layered(handle: *const Handle) -> i32 {
    shielded(1 | 1 << 1, || {
        // SAFETY: the module's rules.
        let layer = unsafe { &(*handle).session }.layer();
        layer.map_or(0, |layer| 1 | i32::from(lock(layer).failure().is_some()) << 1)
    })
}

/// The most bytes that the frame of a message of that length takes; the length itself without a layer.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_room(handle: *const Handle, length: usize) -> usize {
    shielded(length, || {
        // SAFETY: the module's rules.
        unsafe { &(*handle).session }.layer().map_or(length, |layer| lock(layer).room(length))
    })
}

/// Protects in place the first `length` bytes of a buffer of `capacity` initialized bytes. Gives the
/// length of the frame, or -1.
///
/// # Safety
/// The module's rules; `buffer` is valid for reading and writing `capacity` bytes.
#[no_mangle]
pub unsafe extern "C" fn asr_encode(handle: *mut Handle, buffer: *mut u8, capacity: usize, length: usize) -> isize {
    // SAFETY: the module's rules.
    let (handle, buffer) = unsafe { (&mut *handle, std::slice::from_raw_parts_mut(buffer, capacity)) };
    handle.notice = None;
    let Some(layer) = handle.session.layer() else { return length as isize };
    let result = guarded(layer, |stream| stream.encode(buffer, length));
    if let Err(Error::Misuse(misuse)) = &result {
        handle.notice = Some(Box::new(Error::Misuse(misuse.clone())));
    }
    result.map_or(-1, |length| length as isize)
}

/// Opens one frame in place. Gives the length of the plaintext, or -1: then the buffer must not be
/// read.
///
/// # Safety
/// The module's rules; `frame` is valid for reading and writing `length` bytes.
#[no_mangle]
pub unsafe extern "C" fn asr_decode(handle: *mut Handle, frame: *mut u8, length: usize) -> isize {
    // SAFETY: the module's rules.
    let (handle, frame) = unsafe { (&mut *handle, std::slice::from_raw_parts_mut(frame, length)) };
    handle.notice = None;
    let Some(layer) = handle.session.layer() else { return length as isize };
    guarded(layer, |stream| stream.decode(frame)).map_or(-1, |length| length as isize)
}

/// The layer, as one more owner; null if there is none.
///
/// # Safety
/// The module's rules.
#[no_mangle]
pub unsafe extern "C" fn asr_layer_share(handle: *const Handle) -> *const Mutex<Stream> {
    shielded(ptr::null(), || {
        // SAFETY: the module's rules.
        unsafe { &(*handle).session }.layer().map_or(ptr::null(), |layer| Arc::into_raw(Arc::clone(layer)))
    })
}

/// Gives up the ownership of [`asr_layer_share`].
///
/// # Safety
/// The layer came from there, and is not used again by this owner.
#[no_mangle]
pub unsafe extern "C" fn asr_layer_free(layer: *const Mutex<Stream>) {
    shielded((), || {
        // SAFETY: it came from Arc::into_raw.
        drop(unsafe { Arc::from_raw(layer) });
    });
}

/// Makes frames, with their lengths, of any plaintext. They are lent through `out` until
/// [`asr_bytes_free`]; null if the layer has ended.
///
/// # Safety
/// The module's rules; the layer came from [`asr_layer_share`].
#[no_mangle]
pub unsafe extern "C" fn asr_layer_frame(
    layer: *const Mutex<Stream>,
    plaintext: Slice,
    out: *mut Slice,
) -> *mut Vec<u8> {
    // SAFETY: the module's rules.
    let (layer, plaintext) = unsafe { (owned(layer), plaintext.bytes().unwrap_or_default()) };
    let mut frames = Vec::new();
    if guarded(&layer, |stream| stream.frame(plaintext, &mut frames)).is_err() {
        return ptr::null_mut();
    }
    // SAFETY: the module's rules.
    unsafe { out.write(Slice::of(&frames)) };
    Box::into_raw(Box::new(frames))
}

/// Frees what [`asr_layer_frame`] lent.
///
/// # Safety
/// It came from there, and is not used again.
#[no_mangle]
pub unsafe extern "C" fn asr_bytes_free(bytes: *mut Vec<u8>) {
    shielded((), || {
        // SAFETY: it came from Box::into_raw.
        drop(unsafe { Box::from_raw(bytes) });
    });
}

/// Takes bytes of the peer, parts of frames or many. Gives 0 if the layer has ended.
///
/// # Safety
/// The module's rules; the layer came from [`asr_layer_share`].
#[no_mangle]
pub unsafe extern "C" fn asr_layer_feed(layer: *const Mutex<Stream>, bytes: Slice) -> i32 {
    // SAFETY: the module's rules.
    let (layer, bytes) = unsafe { (owned(layer), bytes.bytes().unwrap_or_default()) };
    i32::from(guarded(&layer, |stream| stream.feed(bytes)).is_ok())
}

/// The number of bytes of plaintext that can be read.
///
/// # Safety
/// The layer came from [`asr_layer_share`].
#[no_mangle]
pub unsafe extern "C" fn asr_layer_ready(layer: *const Mutex<Stream>) -> usize {
    shielded(0, || {
        // SAFETY: the module's rules.
        lock(&unsafe { owned(layer) }).plaintext().len()
    })
}

/// Moves `count` bytes of plaintext, or as many as there are, to `out`.
///
/// # Safety
/// The layer came from [`asr_layer_share`]; `out` is valid for writing `count` bytes.
#[no_mangle]
pub unsafe extern "C" fn asr_layer_read(layer: *const Mutex<Stream>, out: *mut u8, count: usize) -> usize {
    shielded(0, || {
        // SAFETY: the module's rules.
        let layer = unsafe { owned(layer) };
        let mut stream = lock(&layer);
        let plaintext = stream.plaintext();
        let count = count.min(plaintext.len());
        // SAFETY: both are valid for `count` bytes, and the stream's own memory is not the caller's.
        unsafe { ptr::copy_nonoverlapping(plaintext.as_ptr(), out, count) };
        stream.consume(count);
        count
    })
}

/// How many bytes of plaintext end with the first `separator`; 0 if there is none.
///
/// # Safety
/// The module's rules; the layer came from [`asr_layer_share`].
#[no_mangle]
pub unsafe extern "C" fn asr_layer_find(layer: *const Mutex<Stream>, separator: Slice) -> usize {
    shielded(0, || {
        // SAFETY: the module's rules.
        let (layer, separator) = unsafe { (owned(layer), separator.bytes().unwrap_or_default()) };
        let found = lock(&layer).find(separator);
        found
    })
}

/// The number of bytes to read next, at most, in order not to read beyond the current frame.
///
/// # Safety
/// The layer came from [`asr_layer_share`].
#[no_mangle]
pub unsafe extern "C" fn asr_layer_wanted(layer: *const Mutex<Stream>) -> usize {
    shielded(0, || {
        // SAFETY: the module's rules.
        lock(&unsafe { owned(layer) }).wanted()
    })
}

/// Ends the layer because the peer closed the connection in the middle of a frame.
///
/// # Safety
/// The layer came from [`asr_layer_share`].
#[no_mangle]
pub unsafe extern "C" fn asr_layer_cut(layer: *const Mutex<Stream>) {
    shielded((), || {
        // SAFETY: the module's rules.
        lock(&unsafe { owned(layer) }).cut();
    });
}

/// Why the layer has ended; null if it has not. The text is lent through `out` until [`asr_text_free`].
///
/// # Safety
/// The layer came from [`asr_layer_share`]; `out` is valid for writing.
#[no_mangle]
pub unsafe extern "C" fn asr_layer_error(layer: *const Mutex<Stream>, out: *mut Slice) -> *mut String {
    shielded(ptr::null_mut(), || {
        // SAFETY: the module's rules.
        let Some(failure) = lock(&unsafe { owned(layer) }).failure() else { return ptr::null_mut() };
        let text = Box::new(failure.named(names::of_connection).to_string());
        // SAFETY: the module's rules.
        unsafe { out.write(Slice::of(text.as_bytes())) };
        Box::into_raw(text)
    })
}

/// One more owner of a layer, for the time of a call.
///
/// # Safety
/// The layer came from [`asr_layer_share`].
unsafe fn owned(layer: *const Mutex<Stream>) -> SharedLayer {
    // SAFETY: the count is raised before it is owned once more.
    unsafe {
        Arc::increment_strong_count(layer);
        Arc::from_raw(layer)
    }
}

/// Runs `work` on the layer; a panic ends it.
fn guarded<T>(layer: &SharedLayer, work: impl FnOnce(&mut Stream) -> Result<T, Error>) -> Result<T, Error> {
    let mut stream = lock(layer);
    let defect = Error::System(DEFECT);
    let result = shielded(Err(defect.clone()), || work(&mut stream));
    if result.as_ref().err() == Some(&defect) {
        stream.break_with(defect);
    }
    result
}
