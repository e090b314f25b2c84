//! How the plugin is linked: it stays in the process once it is there, since exchanges of other threads may be in it; all that
//! it needs is named; and of the core's own C surface nothing is seen from outside.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for option in ["-Wl,-z,nodelete", "-Wl,-z,defs", "-Wl,--exclude-libs,ALL"] {
        println!("cargo::rustc-cdylib-link-arg={option}");
    }
}
