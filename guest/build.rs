//! Linker options of the plugin: it is never unloaded, since other threads may be running its exchanges; and all libraries that
//! it needs are named.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for option in ["-Wl,-z,nodelete", "-Wl,-z,defs"] {
        println!("cargo::rustc-cdylib-link-arg={option}");
    }
}
