//! What the C library's allocator does with memory that is given back to it.
//!
//! By default it returns it to the kernel at once and gets it again a moment later, with a page
//! fault and 4 KiB of zeroes for every page: taking and evicting batches of 1 MiB, half of the
//! broker's CPU went there. How much there can be at all is bounded elsewhere, by the budgets of
//! `memory.*`.

/// Bytes at the end of a heap above which they are returned.
const KEPT: libc::c_int = 1 << 30;
/// Room that a heap is left when it shrinks; address space, not memory.
const PADDING: libc::c_int = 64 << 20;
/// From so many bytes on an allocation is a mapping of its own, which is returned when it is freed.
const MAPPED: libc::c_int = 8 << 20;

/// Keeps freed memory for what is allocated next. Before the first core starts.
pub(super) fn keep_freed_memory() {
    #[cfg(target_env = "gnu")]
    for (parameter, value) in [
        (libc::M_TRIM_THRESHOLD, KEPT),
        (libc::M_TOP_PAD, PADDING),
        (libc::M_MMAP_THRESHOLD, MAPPED),
    ] {
        #[expect(unsafe_code, reason = "sets a parameter of the C library")]
        // SAFETY: it takes numbers, and no other thread allocates in another way because of them.
        let taken = unsafe { libc::mallopt(parameter, value) };
        if taken == 0 {
            tracing::warn!(
                parameter,
                "the allocator keeps its own way of returning memory"
            );
        }
    }
}
