//! Compiles the extension's C part into the harness, so that it is instrumented as the Rust part is: libFuzzer sees its
//! branches, and one AddressSanitizer watches both.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

const EXTENSION: &str = "lib/Authen/SASL/Rust";

fn main() {
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR").unwrap()).join("../..").canonicalize().unwrap();
    let c_file = PathBuf::from(env::var("OUT_DIR").unwrap()).join("extension.c");
    for part in ["xs", "crates/perl/src/ffi.h", "typemap", "lib/Authen/SASL/Rust.xs", "lib/Authen/SASL/Rust.pm"] {
        println!("cargo:rerun-if-changed={}", root.join(part).display());
    }

    let xsubpp = perl(&["-MConfig", "-e", "print $Config{privlibexp}"]) + "/ExtUtils/xsubpp";
    let typemap = root.join("typemap").display().to_string();
    let source = root.join(EXTENSION).with_extension("xs").display().to_string();
    std::fs::write(&c_file, perl(&[&xsubpp, "-typemap", &typemap, &source])).unwrap();

    let module = root.join(EXTENSION).with_extension("pm").display().to_string();
    let version = perl(&["-MExtUtils::MakeMaker", "-e", "print MM->parse_version(shift)", &module]);
    let mut extension = cc::Build::new();
    extension
        .compiler("clang")
        .file(&c_file)
        .include(&root)
        .define("VERSION", format!("\"{version}\"").as_str())
        .define("XS_VERSION", format!("\"{version}\"").as_str())
        .flag("-fno-omit-frame-pointer")
        .flag("-g")
        .warnings(false);
    for flag in perl(&["-MExtUtils::Embed", "-e", "ccopts"]).split_whitespace() {
        extension.flag(flag);
    }
    if env::var("CARGO_CFG_SANITIZE").is_ok_and(|with| with.contains("address")) {
        extension.flag("-fsanitize=address").flag("-fsanitize-coverage=inline-8bit-counters,pc-table,trace-cmp");
    }
    extension.compile("extension");
}

fn perl(arguments: &[&str]) -> String {
    let perl = env::var("PERL").unwrap_or_else(|_| "perl".into());
    let ran = Command::new(&perl).args(arguments).output().expect("perl runs");
    assert!(ran.status.success(), "{perl} {arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).expect("text")
}
