//! Decides whether this build hosts the plugins of Cyrus SASL, and compiles the variadic functions that they are given,
//! which stable Rust cannot define.

use std::env::var;

/// With the feature `plugins`, on systems with ELF files and memory maps of Unix, and on processors for which corosensei has
/// stacks. Cargo.toml names the same for that crate.
fn hosts_plugins() -> bool {
    let target = |name: &str| var(format!("CARGO_CFG_TARGET_{name}")).unwrap_or_default();
    let processor = match target("ARCH").as_str() {
        "x86" | "x86_64" | "arm" | "aarch64" | "riscv32" | "riscv64" | "loongarch64" => true,
        "powerpc64" => target("ABI") == "elfv2",
        _ => false,
    };
    let system = var("CARGO_CFG_UNIX").is_ok() && target("VENDOR") != "apple";
    var("CARGO_FEATURE_PLUGINS").is_ok() && system && processor
}

fn main() {
    println!("cargo::rerun-if-changed=src/shim.c");
    println!("cargo::rustc-check-cfg=cfg(hosts_plugins)");
    if hosts_plugins() {
        println!("cargo::rustc-cfg=hosts_plugins");
        cc::Build::new().file("src/shim.c").compile("asr_plugin_shim");
    }
}
