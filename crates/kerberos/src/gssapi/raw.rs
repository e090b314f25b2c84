//! The C bindings of RFC 2744: types, layouts, and the functions of the library.
//!
//! The library is opened when it is first needed, so neither building nor installing needs it.

use std::ffi::{c_char, c_int, c_void};
use std::ptr;

use libloading::Library;

/// `OM_uint32`.
pub type Word = u32;
/// `gss_name_t`, `gss_cred_id_t`, `gss_ctx_id_t`: opaque pointers.
pub type Handle = *mut c_void;

/// `gss_buffer_desc`.
#[repr(C)]
pub struct Buffer {
    pub length: usize,
    pub value: *mut c_void,
}

impl Buffer {
    pub const EMPTY: Buffer = Buffer { length: 0, value: ptr::null_mut() };

    /// Lends bytes to the library, which does not write to them.
    pub fn of(bytes: &[u8]) -> Buffer {
        Buffer { length: bytes.len(), value: bytes.as_ptr().cast_mut().cast() }
    }
}

/// `gss_OID_desc`.
#[repr(C)]
pub struct Oid {
    pub length: Word,
    pub elements: *const c_void,
}

// SAFETY: an Oid here points to static bytes that are never written.
unsafe impl Sync for Oid {}

impl Oid {
    const fn of(bytes: &'static [u8]) -> Oid {
        Oid { length: bytes.len() as Word, elements: bytes.as_ptr().cast() }
    }

    /// The pointer for the functions, which do not write to it.
    pub fn pointer(&'static self) -> *mut Oid {
        ptr::from_ref(self).cast_mut()
    }
}

/// 1.2.840.113554.1.2.2, Kerberos 5 (RFC 4121).
pub static KRB5: Oid = Oid::of(b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02");
/// 1.3.6.1.5.5.2, SPNEGO (RFC 4178).
pub static SPNEGO: Oid = Oid::of(b"\x2b\x06\x01\x05\x05\x02");
/// 1.2.840.113554.1.2.1.4, GSS_C_NT_HOSTBASED_SERVICE.
pub static HOSTBASED_SERVICE: Oid = Oid::of(b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x01\x04");
/// 1.2.840.113554.1.2.2.1, GSS_KRB5_NT_PRINCIPAL_NAME.
pub static PRINCIPAL_NAME: Oid = Oid::of(b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x01");
/// 1.2.840.113554.1.2.2.5.15, GSS_C_SEC_CONTEXT_SASL_SSF.
pub static SASL_SSF: Oid = Oid::of(b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x05\x0f");
/// 1.2.840.113554.1.2.2.5.5, GSS_C_INQ_SSPI_SESSION_KEY.
pub static SESSION_KEY: Oid = Oid::of(b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x05\x05");
/// 1.2.752.43.13.29, GSS_KRB5_CRED_NO_CI_FLAGS_X: request no layer unless one is wanted.
pub static NO_CI_FLAGS: Oid = Oid::of(b"\x2a\x85\x70\x2b\x0d\x1d");

/// `gss_OID_set_desc`.
#[repr(C)]
pub struct OidSet {
    pub count: usize,
    pub elements: *mut Oid,
}

/// `struct gss_channel_bindings_struct`.
#[repr(C)]
pub struct ChannelBindings {
    pub initiator_addrtype: Word,
    pub initiator_address: Buffer,
    pub acceptor_addrtype: Word,
    pub acceptor_address: Buffer,
    pub application_data: Buffer,
}

/// `gss_buffer_set_desc`.
#[repr(C)]
pub struct BufferSet {
    pub count: usize,
    pub elements: *mut Buffer,
}

/// `gss_key_value_element_desc`.
#[repr(C)]
pub struct KeyValue {
    pub key: *const c_char,
    pub value: *const c_char,
}

/// `gss_key_value_set_desc`.
#[repr(C)]
pub struct KeyValueSet {
    pub count: Word,
    pub elements: *const KeyValue,
}

macro_rules! functions {
    (required { $(fn $name:ident($($type:ty),* $(,)?);)* } optional { $(fn $maybe:ident($($kind:ty),* $(,)?);)* }) => {
        /// The functions of the library; each returns the major status.
        pub struct Functions {
            $(pub $name: unsafe extern "C" fn($($type),*) -> Word,)*
            $(pub $maybe: Option<unsafe extern "C" fn($($kind),*) -> Word>,)*
        }

        impl Functions {
            fn found_in(library: &Library) -> Result<Self, libloading::Error> {
                Ok(Functions {
                    $($name: {
                        // SAFETY: the symbol has that type in RFC 2744 and in the headers of MIT and Heimdal.
                        *unsafe { library.get(concat!(stringify!($name), "\0").as_bytes()) }?
                    },)*
                    $($maybe: {
                        // SAFETY: the symbol, where there is one, has that type in the headers of MIT and Heimdal.
                        unsafe { library.get(concat!(stringify!($maybe), "\0").as_bytes()) }.ok().map(|found| *found)
                    },)*
                })
            }
        }
    };
}

functions! {
    required {
        fn gss_import_name(*mut Word, *mut Buffer, *mut Oid, *mut Handle);
        fn gss_display_name(*mut Word, Handle, *mut Buffer, *mut *mut Oid);
        fn gss_release_name(*mut Word, *mut Handle);
        fn gss_release_buffer(*mut Word, *mut Buffer);
        fn gss_acquire_cred(*mut Word, Handle, Word, *mut OidSet, c_int, *mut Handle, *mut *mut OidSet, *mut Word);
        fn gss_release_cred(*mut Word, *mut Handle);
        fn gss_inquire_cred(*mut Word, Handle, *mut Handle, *mut Word, *mut c_int, *mut *mut OidSet);
        fn gss_init_sec_context(
            *mut Word, Handle, *mut Handle, Handle, *mut Oid, Word, Word, *mut ChannelBindings, *mut Buffer,
            *mut *mut Oid, *mut Buffer, *mut Word, *mut Word,
        );
        fn gss_accept_sec_context(
            *mut Word, *mut Handle, Handle, *mut Buffer, *mut ChannelBindings, *mut Handle, *mut *mut Oid, *mut Buffer,
            *mut Word, *mut Word, *mut Handle,
        );
        fn gss_delete_sec_context(*mut Word, *mut Handle, *mut Buffer);
        fn gss_inquire_context(
            *mut Word, Handle, *mut Handle, *mut Handle, *mut Word, *mut *mut Oid, *mut Word, *mut c_int, *mut c_int,
        );
        fn gss_wrap(*mut Word, Handle, c_int, Word, *mut Buffer, *mut c_int, *mut Buffer);
        fn gss_unwrap(*mut Word, Handle, *mut Buffer, *mut Buffer, *mut c_int, *mut Word);
        fn gss_wrap_size_limit(*mut Word, Handle, c_int, Word, Word, *mut Word);
        fn gss_display_status(*mut Word, Word, c_int, *mut Oid, *mut Word, *mut Buffer);
    }
    optional {
        fn gss_acquire_cred_from(
            *mut Word, Handle, Word, *mut OidSet, c_int, *const KeyValueSet, *mut Handle, *mut *mut OidSet, *mut Word,
        );
        fn gss_acquire_cred_with_password(
            *mut Word, Handle, *mut Buffer, Word, *mut OidSet, c_int, *mut Handle, *mut *mut OidSet, *mut Word,
        );
        fn gss_store_cred_into(
            *mut Word, Handle, c_int, *mut Oid, Word, Word, *const KeyValueSet, *mut *mut OidSet, *mut c_int,
        );
        fn gss_localname(*mut Word, Handle, *mut Oid, *mut Buffer);
        fn gss_inquire_sec_context_by_oid(*mut Word, Handle, *mut Oid, *mut *mut BufferSet);
        fn gss_release_buffer_set(*mut Word, *mut *mut BufferSet);
        fn gss_set_cred_option(*mut Word, *mut Handle, *mut Oid, *mut Buffer);
    }
}

/// Opens the first of these libraries that exists. It stays open until the process ends, since the functions point into
/// it.
pub fn open(names: &[&str]) -> Option<Functions> {
    names.iter().find_map(|name| {
        // SAFETY: the initializers of these libraries need nothing of the program.
        let library = unsafe { Library::new(name) }.ok()?;
        let functions = Functions::found_in(&library).ok()?;
        std::mem::forget(library);
        Some(functions)
    })
}

#[cfg(test)]
mod tests {
    use std::mem::{align_of, offset_of, size_of};

    use super::*;

    /// The layouts of MIT's and Heimdal's headers, in machine words.
    #[test]
    fn layouts() {
        let word = size_of::<usize>();
        assert_eq!((size_of::<Buffer>(), offset_of!(Buffer, value)), (2 * word, word));
        assert_eq!((size_of::<Oid>(), offset_of!(Oid, elements)), (2 * word, word));
        assert_eq!((size_of::<OidSet>(), offset_of!(OidSet, elements)), (2 * word, word));
        assert_eq!((size_of::<BufferSet>(), offset_of!(BufferSet, elements)), (2 * word, word));
        assert_eq!((size_of::<KeyValue>(), offset_of!(KeyValue, value)), (2 * word, word));
        assert_eq!((size_of::<KeyValueSet>(), offset_of!(KeyValueSet, elements)), (2 * word, word));
        assert_eq!(offset_of!(ChannelBindings, initiator_address), word);
        assert_eq!(offset_of!(ChannelBindings, acceptor_addrtype), 3 * word);
        assert_eq!(offset_of!(ChannelBindings, acceptor_address), 4 * word);
        assert_eq!(offset_of!(ChannelBindings, application_data), 6 * word);
        assert_eq!((size_of::<ChannelBindings>(), align_of::<ChannelBindings>()), (8 * word, word));
    }

    #[test]
    fn no_library_is_no_functions() {
        assert!(open(&["libgssapi-that-nobody-has.so.99"]).is_none());
        // A library that exists but has none of the functions.
        assert!(open(&["libc.so.6"]).is_none());
    }
}
