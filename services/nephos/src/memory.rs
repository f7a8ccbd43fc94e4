//! How the allocator gives memory back.
//!
//! Hashing a password takes 19 MiB on whichever thread it happens, an image's bytes go through buffers of megabytes. Left
//! to itself, glibc takes the first such block that is freed as a reason to keep blocks of its size from then on, once
//! per arena and with eight arenas per core: a process that was busy for a while never becomes small again.

use nix::libc;

/// Blocks of this size and more go back to the system as soon as they are free, in bytes.
const LARGE: libc::c_int = 1024 * 1024;

/// Fixes what glibc would adapt: to be called before there are threads.
pub fn give_back_large_blocks() {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let arenas = libc::c_int::try_from(cores.max(2)).unwrap_or(libc::c_int::MAX);
    for (parameter, value) in [
        (libc::M_MMAP_THRESHOLD, LARGE),
        (libc::M_TRIM_THRESHOLD, LARGE),
        (libc::M_ARENA_MAX, arenas),
    ] {
        // A refusal leaves the allocator as it was, which is well enough.
        #[expect(
            unsafe_code,
            reason = "mallopt has no other binding; it takes two numbers and keeps no pointer"
        )]
        let _taken = unsafe { libc::mallopt(parameter, value) };
    }
}
