//! Linker options of the plugin: it is never unloaded, since other threads may be running its exchanges; all libraries that it
//! needs are named; and the core's own C surface is not exported.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for option in ["-Wl,-z,nodelete", "-Wl,-z,defs", "-Wl,--exclude-libs,ALL"] {
        println!("cargo::rustc-cdylib-link-arg={option}");
    }
}
