//! The texts that `log` and `seterror` make from a format: src/shim.c.

use std::ffi::{c_char, c_long, c_ulong, CStr};
use std::sync::{Arc, Mutex};

use super::super::connection::NoHooks;
use super::super::journal::Log;
use super::super::options::Options;
use super::super::owned::Owned;
use saslplug::flag::NOLOG;

/// The text that a call of `seterror` leaves.
macro_rules! said {
    ($format:literal $(, $argument:expr)*) => {{
        let connection = Owned::new(Arc::default(), None, Box::new(NoHooks));
        // SAFETY: the arguments are those that the format asks for.
        connection.during(|| unsafe { ((*connection.utils()).seterror)(connection.conn(), NOLOG, $format.as_ptr() $(, $argument)*) });
        connection.take_error().unwrap_or_default()
    }};
}

#[test]
fn conversions() {
    let text = c"text".as_ptr();
    assert_eq!(
        said!(c"%d %i|%u|%x %X %o|%c|%s|%%", -5, 7, 42, 0xbeef, 0xbeef, 8, 'q' as i32, text),
        "-5 7|42|beef BEEF 10|q|text|%"
    );
    assert_eq!(
        said!(c"[%5d] [%-5d] [%05d] [%+d] [%.2s] [%*d] [%-*s] [%.*s]", 42, 42, 42, 42, text, 6, 42, 6, text, 1, text),
        "[   42] [42   ] [00042] [+42] [te] [    42] [text  ] [t]"
    );
    assert_eq!(said!(c"%.*s", -1, text), "text");
    assert_eq!(
        said!(
            c"%ld %lu %lld %zu %zd %jd %hd %hhu",
            c_long::from(-1i8),
            c_ulong::from(1u8),
            i64::MIN,
            3usize,
            -3isize,
            5i64,
            6,
            7
        ),
        format!("-1 1 {} 3 -3 5 6 7", i64::MIN)
    );
    assert_eq!(said!(c"%.1f %g %s", 0.25f64, 1.5f64, std::ptr::null::<c_char>()), "0.2 1.5 (null)");
    assert_eq!(said!(c"%ls", text), "text");
    assert_eq!(
        said!(c"%m: %z, %z, %z|%z", 2, -13, 2, 4711, 0),
        "No such file or directory: SASL_BADAUTH, SASL_INTERACT, SASL_FAIL|SASL_OK"
    );
}

#[test]
fn bad_formats() {
    let mut number = 7;
    assert_eq!(said!(c"before %n after", &raw mut number), "before");
    assert_eq!(number, 7);
    assert_eq!(said!(c"before %y after", 1), "before");
    assert_eq!(said!(c"before %"), "before");
    assert_eq!(said!(c""), "");
    assert_eq!(said!(c"%0000000000000000000000000000000000000000000000001d", 1), "");
    let long = "x".repeat(5000) + "\0";
    let long = CStr::from_bytes_with_nul(long.as_bytes()).unwrap().as_ptr();
    assert_eq!(said!(c"%s%s%d", long, long, 7).len(), 2047);
    assert_eq!(said!(c"%09000d", 7).len(), 2047);
    assert_eq!(said!(c"a\tb\x1b[1mc\xff\n"), "a\\tb\\u{1b}[1mc\u{fffd}");
}

#[test]
fn levels() {
    for (level, expected) in [("0", ""), ("1", "1"), ("4", "1234"), ("7", "123456"), ("rubbish", "1")] {
        let lines = Arc::new(Mutex::new(String::new()));
        let kept = Arc::clone(&lines);
        let log: Log = Arc::new(move |level, line| {
            assert_eq!(line, format!("secret {level}"));
            *kept.lock().unwrap() += &level.to_string();
        });
        let mut options = Options::default();
        options.set("log_level", level).unwrap();
        let connection = Owned::new(Arc::new(options), Some(log), Box::new(NoHooks));
        for level in 1..=8 {
            // SAFETY: the argument is the one that the format asks for.
            connection.during(|| unsafe {
                ((*connection.utils()).log)(connection.conn(), level, c"secret %d".as_ptr(), level)
            });
        }
        assert_eq!(*lines.lock().unwrap(), expected, "{level}");
    }
}

#[test]
fn the_deepest_cause_stands_last() {
    let connection = Owned::new(Arc::default(), None, Box::new(NoHooks));
    let say = |text: &CStr| {
        // SAFETY: the format asks for no arguments.
        connection.during(|| unsafe { ((*connection.utils()).seterror)(connection.conn(), NOLOG, text.as_ptr()) });
    };
    [c"no such file", c"no database", c"no database", c"no secret"].into_iter().for_each(say);
    assert_eq!(connection.take_error().as_deref(), Some("no secret: no database: no such file"));
    assert_eq!(connection.take_error(), None);
    [c"1", c"2", c"3", c"4", c"5", c"6"].into_iter().for_each(say);
    assert_eq!(connection.take_error().as_deref(), Some("6: 3: 2: 1"));
}
