//! What the allocator keeps of memory that was given back.
//!
//! glibc keeps more the larger what was freed before, up to 64 MiB for each thread, unless it is
//! told a number when the process starts. There is no safe call for that: the environment tells it.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// Larger pieces go back to the system at once, and so does what is free at the end of a heap.
const KEPT_MAX: &str = "131072";
const SETTINGS: [&str; 2] = ["MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"];

/// Begins this program anew with the allocator told, unless somebody has told it something.
pub(super) fn tell() {
    if !cfg!(target_env = "gnu") || SETTINGS.iter().any(|name| std::env::var_os(name).is_some()) {
        return;
    }
    let mut args = std::env::args_os();
    let name = args.next();
    let mut command = Command::new("/proc/self/exe");
    command.arg0(name.as_deref().unwrap_or(OsStr::new("geogate"))).args(args);
    command.envs(SETTINGS.map(|name| (name, KEPT_MAX)));
    // It comes back only if that cannot be done, and then all works as well, with more memory.
    let _ = command.exec();
}
