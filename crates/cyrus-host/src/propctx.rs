//! Property contexts (prop.h): the names that are asked for, and the values that were found.
//!
//! A plugin keeps pointers into a context. So the array from `prop_get` moves only if names are added, and values stay until
//! they are cleared. Names belong to the caller, as prop.h says. Values, which include passwords, are zeroized when freed.

use std::borrow::Cow;
use std::ffi::{c_char, c_int, c_uint, CStr};
use std::{ptr, slice};

use zeroize::Zeroize;

use saslplug::{code, Propctx, Propval};

/// The property of the authentication identity with its password.
pub const PASSWORD: &CStr = c"*userPassword";
/// The property with its verifiers.
pub const VERIFIER: &CStr = c"*authPassword";

const END: Propval = Propval { name: ptr::null(), values: ptr::null_mut(), nvalues: 0, valsize: 0 };

/// The target of a `struct propctx *`.
pub struct Context {
    /// One entry for each name, and a last one without a name.
    list: Vec<Propval>,
    /// The values of each name.
    stored: Vec<Stored>,
    /// The name that was set last.
    previous: Option<usize>,
    /// The names that this context owns.
    names: Vec<Cow<'static, CStr>>,
}

#[derive(Default)]
struct Stored {
    /// With a NUL after each.
    texts: Vec<Box<[u8]>>,
    /// Arrays of pointers to them that end with a null pointer; the last array is in use.
    arrays: Vec<Vec<*const c_char>>,
    /// Erased texts, zeroized: a plugin may still read them.
    erased: Vec<Box<[u8]>>,
}

impl Stored {
    /// Adds a value, and returns the array of all.
    fn add(&mut self, value: &[u8]) -> *mut *const c_char {
        let mut text = Vec::with_capacity(value.len() + 1);
        text.extend_from_slice(value);
        text.push(0);
        let text = text.into_boxed_slice();
        let array = self.room();
        array.insert(array.len() - 1, text.as_ptr().cast());
        let array = array.as_mut_ptr();
        self.texts.push(text);
        array
    }

    /// The array in use, with room for one more value. A full array is kept, since a plugin may still read it.
    fn room(&mut self) -> &mut Vec<*const c_char> {
        let grown = match self.arrays.last() {
            Some(array) if array.len() < array.capacity() => None,
            Some(array) => {
                let mut grown = Vec::with_capacity(array.len() * 2);
                grown.extend_from_slice(array);
                Some(grown)
            }
            None => Some(empty_array()),
        };
        self.arrays.extend(grown);
        let last = self.arrays.len() - 1;
        &mut self.arrays[last]
    }

    fn erase(&mut self) {
        self.texts.iter_mut().for_each(|text| text.as_mut().zeroize());
        self.erased.append(&mut self.texts);
        self.arrays.push(empty_array());
    }
}

fn empty_array() -> Vec<*const c_char> {
    let mut array = Vec::with_capacity(4);
    array.push(ptr::null());
    array
}

impl Drop for Stored {
    fn drop(&mut self) {
        self.texts.iter_mut().for_each(|text| text.as_mut().zeroize());
    }
}

impl Context {
    /// A context without names.
    pub fn new() -> Box<Self> {
        Box::new(Context { list: vec![END], stored: Vec::new(), previous: None, names: Vec::new() })
    }

    /// As a plugin passes it.
    pub fn pointer(&mut self) -> *mut Propctx {
        ptr::from_mut(self).cast()
    }

    /// Adds a name, which is ours or a constant. All values are cleared.
    pub fn request(&mut self, name: impl Into<Cow<'static, CStr>>) {
        let name = name.into();
        // SAFETY: the context keeps the text, which a box does not move.
        unsafe { self.request_pointer(name.as_ptr()) };
        self.names.push(name);
        self.clear();
    }

    /// Adds a value of a requested name.
    pub fn set(&mut self, name: &CStr, value: &[u8]) {
        if let Some(at) = self.find(name) {
            self.add(at, Some(value));
        }
    }

    /// Adds a name, if it is new.
    ///
    /// # Safety
    /// It points to a text that stays in place as long as the context has the name.
    pub unsafe fn request_pointer(&mut self, name: *const c_char) {
        // SAFETY: the caller's promise.
        if self.find(unsafe { CStr::from_ptr(name) }).is_none() {
            let last = self.stored.len();
            self.list[last].name = name;
            self.list.push(END);
            self.stored.push(Stored::default());
        }
    }

    /// The values of a name; `None` if it was not found, or not asked for.
    pub fn values(&self, name: &CStr) -> Option<impl Iterator<Item = &[u8]>> {
        let at = self.find(name)?;
        if self.list[at].values.is_null() {
            return None;
        }
        Some(self.stored[at].texts.iter().map(|text| &text[..text.len() - 1]))
    }

    fn find(&self, name: &CStr) -> Option<usize> {
        // SAFETY: the text of a name stays as long as the context has it (`request_pointer`).
        self.list[..self.stored.len()].iter().position(|entry| unsafe { CStr::from_ptr(entry.name) } == name)
    }

    /// Adds a value, or marks the name as found without a value.
    fn add(&mut self, at: usize, value: Option<&[u8]>) {
        let (entry, stored) = (&mut self.list[at], &mut self.stored[at]);
        match value {
            Some(value) => {
                entry.values = stored.add(value);
                entry.nvalues += 1;
                entry.valsize += value.len() as c_uint;
            }
            None => entry.values = stored.room().as_mut_ptr(),
        }
    }

    fn clear(&mut self) {
        for (entry, stored) in self.list.iter_mut().zip(&mut self.stored) {
            *entry = Propval { name: entry.name, ..END };
            *stored = Stored::default();
        }
        self.previous = None;
    }
}

// SAFETY of all below: a plugin passes contexts that came from `prop_new` or `prop_dup` and are not disposed of,
// lists that end in a null pointer, and texts that end in a NUL or have their length beside them. No function of
// a plugin runs while one of these does.

unsafe fn context<'a>(pointer: *mut Propctx) -> Option<&'a mut Context> {
    // SAFETY: as above.
    unsafe { pointer.cast::<Context>().as_mut() }
}

/// The pointers of a list, up to the null pointer.
unsafe fn pointers(list: *const *const c_char) -> impl Iterator<Item = *const c_char> {
    // SAFETY: as above; the iterator stops at the null pointer.
    (0..).map(move |at| unsafe { *list.add(at) }).take_while(|pointer| !pointer.is_null())
}

pub unsafe extern "C" fn prop_new(_estimate: c_uint) -> *mut Propctx {
    Box::into_raw(Context::new()).cast()
}

pub unsafe extern "C" fn prop_dup(from: *mut Propctx, to: *mut *mut Propctx) -> c_int {
    // SAFETY: as above.
    let (Some(from), Some(to)) = (unsafe { context(from) }, unsafe { to.as_mut() }) else { return code::BADPARAM };
    let mut copy = Context::new();
    for (at, stored) in from.stored.iter().enumerate() {
        // SAFETY: prop.h: a name stays as long as any context has it.
        unsafe { copy.request_pointer(from.list[at].name) };
        if !from.list[at].values.is_null() {
            copy.add(at, None);
            stored.texts.iter().for_each(|text| copy.add(at, Some(&text[..text.len() - 1])));
        }
    }
    *to = Box::into_raw(copy).cast();
    code::OK
}

pub unsafe extern "C" fn prop_request(pointer: *mut Propctx, names: *const *const c_char) -> c_int {
    // SAFETY: as above.
    let Some(context) = (unsafe { context(pointer) }).filter(|_| !names.is_null()) else { return code::BADPARAM };
    let mut any = false;
    // SAFETY: as above.
    for name in unsafe { pointers(names) } {
        // SAFETY: as above.
        unsafe { context.request_pointer(name) };
        any = true;
    }
    if any {
        context.clear();
    }
    code::OK
}

pub unsafe extern "C" fn prop_get(pointer: *mut Propctx) -> *const Propval {
    // SAFETY: as above.
    unsafe { context(pointer) }.map_or(ptr::null(), |context| context.list.as_ptr())
}

/// The number of names that were asked for. libsasl2 counts those without values too, contrary to its header.
pub unsafe extern "C" fn prop_getnames(
    pointer: *mut Propctx,
    names: *const *const c_char,
    values: *mut Propval,
) -> c_int {
    // SAFETY: as above.
    let Some(context) = (unsafe { context(pointer) }).filter(|_| !names.is_null() && !values.is_null()) else {
        return code::BADPARAM;
    };
    let mut found = 0;
    // SAFETY: as above; there are as many values as names.
    for (at, name) in unsafe { pointers(names) }.enumerate() {
        // SAFETY: as above.
        let known = context.find(unsafe { CStr::from_ptr(name) });
        found += c_int::from(known.is_some());
        let entry = known.map_or(END, |at| context.list[at]);
        // SAFETY: as above.
        unsafe { values.add(at).write(entry) };
    }
    found
}

pub unsafe extern "C" fn prop_clear(pointer: *mut Propctx, requests: c_int) {
    // SAFETY: as above.
    if let Some(context) = unsafe { context(pointer) } {
        context.clear();
        if requests != 0 {
            context.list.clear();
            context.list.push(END);
            context.stored.clear();
        }
    }
}

pub unsafe extern "C" fn prop_dispose(pointer: *mut *mut Propctx) {
    // SAFETY: as above.
    if let Some(pointer) = unsafe { pointer.as_mut() }.filter(|pointer| !pointer.is_null()) {
        // SAFETY: it came out of a box in `prop_new` or `prop_dup`.
        drop(unsafe { Box::from_raw(pointer.cast::<Context>()) });
        *pointer = ptr::null_mut();
    }
}

pub unsafe extern "C" fn prop_format(
    pointer: *mut Propctx,
    separator: *const c_char,
    separator_length: c_int,
    out: *mut c_char,
    room: c_uint,
    written: *mut c_uint,
) -> c_int {
    // SAFETY: as above.
    let Some(context) = (unsafe { context(pointer) }).filter(|_| !out.is_null()) else { return code::BADPARAM };
    let separator: &[u8] = match separator_length {
        _ if separator.is_null() => &[],
        // SAFETY: as above.
        ..0 => unsafe { CStr::from_ptr(separator) }.to_bytes(),
        // SAFETY: as above.
        length => unsafe { slice::from_raw_parts(separator.cast(), length as usize) },
    };
    // SAFETY: the text of a name stays as long as the context has it (`request_pointer`).
    let name = |entry: &Propval| unsafe { CStr::from_ptr(entry.name) }.to_bytes();
    let names: Vec<&[u8]> = context.list[..context.stored.len()].iter().map(name).collect();
    let mut text = names.join(separator);
    let needed = text.len() as c_uint;
    text.push(0);
    if room <= needed {
        return (needed + 1 - room) as c_int;
    }
    // SAFETY: as above.
    unsafe {
        slice::from_raw_parts_mut(out.cast(), text.len()).copy_from_slice(&text);
        if let Some(written) = written.as_mut() {
            *written = needed;
        }
    }
    code::OK
}

pub unsafe extern "C" fn prop_set(
    pointer: *mut Propctx,
    name: *const c_char,
    value: *const c_char,
    length: c_int,
) -> c_int {
    // SAFETY: as above.
    let Some(context) = (unsafe { context(pointer) }) else { return code::BADPARAM };
    if !name.is_null() {
        // SAFETY: as above.
        context.previous = context.find(unsafe { CStr::from_ptr(name) });
    }
    let Some(at) = context.previous else { return code::BADPARAM };
    let value = match length {
        _ if value.is_null() => None,
        // SAFETY: as above.
        ..=0 => Some(unsafe { CStr::from_ptr(value) }.to_bytes()),
        // SAFETY: as above.
        length => Some(unsafe { slice::from_raw_parts(value.cast(), length as usize) }),
    };
    if value.is_some() || !name.is_null() {
        context.add(at, value);
    }
    code::OK
}

pub unsafe extern "C" fn prop_setvals(
    pointer: *mut Propctx,
    name: *const c_char,
    values: *const *const c_char,
) -> c_int {
    // SAFETY: as above.
    unsafe {
        if context(pointer).is_none() {
            return code::BADPARAM;
        }
        if values.is_null() {
            return code::OK;
        }
        let mut name = name;
        if (*values).is_null() {
            return prop_set(pointer, name, ptr::null(), 0);
        }
        for value in pointers(values) {
            let result = prop_set(pointer, name, value, 0);
            if result != code::OK {
                return result;
            }
            name = ptr::null();
        }
        code::OK
    }
}

pub unsafe extern "C" fn prop_erase(pointer: *mut Propctx, name: *const c_char) {
    // SAFETY: as above.
    if let Some(context) = unsafe { context(pointer) }.filter(|_| !name.is_null()) {
        // SAFETY: as above.
        if let Some(at) = context.find(unsafe { CStr::from_ptr(name) }) {
            context.list[at] = Propval { name: context.list[at].name, ..END };
            context.stored[at].erase();
        }
    }
}
