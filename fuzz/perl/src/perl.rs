//! The embedded perl, as far as the harness needs it. libperl-sys has the functions of perl's C interface and the layout of
//! its structures. Three gaps are closed here:
//!
//! - Half of perl's interface is macros, which the crate does not have (`SvREFCNT`, `SvRV`, `PL_sv_count`, `PL_exit_flags`,
//!   the whole stack). So fields are read from the structures, and Perl code is called through the main program and global
//!   variables: no value is passed on perl's stack.
//! - Later versions of the crate (0.4) generate functions from the macros. Their `SvPV` takes the length by value and so
//!   loses it, and the generator doubles the build time. `Perl_sv_2pv_flags` returns the length.
//! - A `die` or `exit` is a longjmp. Only `perl_run` has the `setjmp` that stops both; another one would again need a
//!   macro. So code that may die runs within `perl_run`, and no Rust frame is jumped over.
//!
//! It needs a perl with threads, like Debian's, in which each function takes the interpreter.

use std::ffi::{c_char, c_int, CString};
use std::ptr::{null, null_mut};

use libperl_sys::*;

extern "C" {
    fn boot_DynaLoader(my_perl: *mut PerlInterpreter, cv: *mut CV);
    #[link_name = "boot_Authen__SASL__Rust"]
    fn boot_extension(my_perl: *mut PerlInterpreter, cv: *mut CV);
}

/// XSLoader looks for a function `bootstrap` before it looks for a library, as in a perl with statically linked extensions.
extern "C" fn boot(my_perl: *mut PerlInterpreter) {
    let file = c"fuzz-perl".as_ptr();
    // SAFETY: perl_parse calls this with a live interpreter; the names end with NUL.
    unsafe {
        Perl_newXS(my_perl, c"DynaLoader::boot_DynaLoader".as_ptr(), Some(boot_DynaLoader), file);
        Perl_newXS(my_perl, c"Authen::SASL::Rust::bootstrap".as_ptr(), Some(boot_extension), file);
    }
}

/// The one interpreter of this process.
pub struct Perl {
    my_perl: *mut PerlInterpreter,
    /// Perl keeps pointers to its arguments.
    _arguments: Vec<CString>,
}

fn c_string(text: &str) -> CString {
    CString::new(text).expect("a text without NUL")
}

impl Perl {
    /// Compiles a main program, given as perl's arguments. Its BEGIN blocks run.
    pub fn new(arguments: &[&str]) -> Self {
        let arguments: Vec<CString> = ["perl"].iter().chain(arguments).map(|text| c_string(text)).collect();
        let mut pointers: Vec<*mut c_char> = arguments.iter().map(|text| text.as_ptr().cast_mut()).collect();
        pointers.push(null_mut());
        let mut count = arguments.len() as c_int;
        let mut argv = pointers.as_mut_ptr();
        let mut environment = null_mut();
        // SAFETY: the calls that perlembed requires, in that order. Perl copies the arguments that it changes.
        let (my_perl, failed) = unsafe {
            Perl_sys_init3(&mut count, &mut argv, &mut environment);
            let my_perl = perl_alloc();
            perl_construct(my_perl);
            (*my_perl).Iperl_destruct_level = 2;
            (*my_perl).Iexit_flags |= PERL_EXIT_DESTRUCT_END as U8;
            (my_perl, perl_parse(my_perl, Some(boot), count, argv, null_mut()))
        };
        assert_eq!(failed, 0, "perl does not compile the main program");
        Self { my_perl, _arguments: arguments }
    }

    /// Runs the main program, possibly again. An `exit` in it ends the run.
    pub fn run(&self) -> i32 {
        // SAFETY: the interpreter is alive, and has compiled a program.
        unsafe { perl_run(self.my_perl) }
    }

    fn scalar(&self, name: &str) -> *mut SV {
        // SAFETY: GV_ADD creates it if necessary.
        unsafe { Perl_get_sv(self.my_perl, c_string(name).as_ptr(), GV_ADD as I32) }
    }

    fn array(&self, name: &str) -> *mut AV {
        // SAFETY: as above.
        unsafe { Perl_get_av(self.my_perl, c_string(name).as_ptr(), GV_ADD as I32) }
    }

    pub fn set(&self, name: &str, bytes: &[u8]) {
        // SAFETY: perl copies the bytes.
        unsafe { Perl_sv_setpvn(self.my_perl, self.scalar(name), bytes.as_ptr().cast(), bytes.len() as STRLEN) }
    }

    pub fn set_list(&self, name: &str, texts: &[Vec<u8>]) {
        let array = self.array(name);
        // SAFETY: perl copies the bytes, and the array owns the new scalars.
        unsafe {
            Perl_av_clear(self.my_perl, array);
            for text in texts {
                let scalar = Perl_newSVpvn(self.my_perl, text.as_ptr().cast(), text.len() as STRLEN);
                Perl_av_push(self.my_perl, array, scalar);
            }
        }
    }

    /// The value of a string; `None` if it is undefined.
    pub fn text(&self, name: &str) -> Option<String> {
        let scalar = self.scalar(name);
        let mut length: STRLEN = 0;
        // SAFETY: the string belongs to perl, and is copied before perl runs again.
        unsafe {
            if (*scalar).sv_flags & SVf_OK == 0 {
                return None;
            }
            let start = Perl_sv_2pv_flags(self.my_perl, scalar, &mut length, 0);
            let bytes = std::slice::from_raw_parts(start.cast::<u8>(), length as usize);
            Some(String::from_utf8_lossy(bytes).into_owned())
        }
    }

    /// The number of live scalars of any type.
    pub fn scalars(&self) -> i64 {
        // SAFETY: the interpreter is alive.
        unsafe { (*self.my_perl).Isv_count }
    }

    /// The reference counts of the values whose references are in the array.
    pub fn reference_counts(&self, name: &str) -> Vec<u32> {
        let array = self.array(name);
        // SAFETY: av_fetch returns the slot of an element, or NULL; SVf_ROK marks a reference.
        unsafe {
            (0..=Perl_av_len(self.my_perl, array))
                .map(|index| {
                    let slot = Perl_av_fetch(self.my_perl, array, index, 0);
                    assert!(!slot.is_null() && (**slot).sv_flags & SVf_ROK != 0, "{name} holds references");
                    (*(**slot).sv_u.svu_rv).sv_refcnt
                })
                .collect()
        }
    }

    /// Forges objects of a class: hashes that look like the extension's objects as closely as possible. They have magic of the same kind,
    /// with another table or none, and a pointer that must never be followed.
    pub fn forge(&self, name: &str, class: &str) {
        static TABLE: MGVTBL = MGVTBL {
            svt_get: None,
            svt_set: None,
            svt_len: None,
            svt_clear: None,
            svt_free: None,
            svt_copy: None,
            svt_dup: None,
            svt_local: None,
        };
        const NOWHERE: *const c_char = 0x1000 as *const c_char;
        // SAFETY: as sv_magicext requires, the length is 0, so that perl neither copies nor frees what NOWHERE points to.
        unsafe {
            for table in [&TABLE as *const MGVTBL, null()] {
                let hash = Perl_newSV(self.my_perl, 0);
                Perl_sv_upgrade(self.my_perl, hash, svtype::SVt_PVHV);
                Perl_sv_magicext(self.my_perl, hash, null_mut(), PERL_MAGIC_EXT, table, NOWHERE, 0);
                // Since perl 5.40 newRV_noinc is an inline function, which cannot be linked to.
                let object = Perl_newRV(self.my_perl, hash);
                (*hash).sv_refcnt -= 1;
                let stash = Perl_gv_stashpvn(self.my_perl, class.as_ptr().cast(), class.len() as U32, GV_ADD as I32);
                Perl_av_push(self.my_perl, self.array(name), Perl_sv_bless(self.my_perl, object, stash));
            }
        }
    }
}

/// PERL_MAGIC_ext of mg_vtable.h, a macro.
const PERL_MAGIC_EXT: c_int = b'~' as c_int;

impl Drop for Perl {
    /// With perl_destruct_level 2 everything is freed, and values with a leaked reference are reported: "Scalars leaked".
    fn drop(&mut self) {
        // SAFETY: the last calls, in the order of perlembed.
        unsafe {
            perl_destruct(self.my_perl);
            perl_free(self.my_perl);
            Perl_sys_term();
        }
    }
}
