//! Compiles the variadic functions that a Cyrus plugin is given, which stable Rust cannot define.

fn main() {
    println!("cargo::rerun-if-changed=src/plugin/shim.c");
    cc::Build::new().file("src/plugin/shim.c").compile("asr_plugin_shim");
}
