//! What a process uses.

use std::io;

use crate::client::wrong;

pub fn resident(pid: &str) -> io::Result<usize> {
    bytes(&format!("/proc/{pid}/status"), "VmRSS:")
}

/// What the kernel has allocated for its own objects, sockets among them.
pub fn kernel_memory() -> io::Result<usize> {
    bytes("/proc/meminfo", "Slab:")
}

fn bytes(file: &str, name: &str) -> io::Result<usize> {
    let text = std::fs::read_to_string(file)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<usize>().ok());
    kib.map(|kib| kib * 1024).ok_or_else(|| wrong(&format!("{file}: no {name}")))
}

/// The time that a process has used on processors, in nanoseconds. /proc/PID/stat counts whole hundredths of a second.
pub fn processor_time(pid: &str) -> io::Result<u64> {
    let mut sum = 0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
        sum += text.split(' ').next().and_then(|word| word.parse::<u64>().ok()).ok_or_else(|| wrong("no schedstat"))?;
    }
    Ok(sum)
}
