//! An allocator that counts what is live, so that a test can say how much something took at most.
//!
//! Whoever wants it puts it in place:
//!
//! ```
//! use leveret_testkit::allocator::{Counting, peak_of};
//!
//! #[global_allocator]
//! static ALLOCATOR: Counting = Counting;
//!
//! assert!(peak_of(|| drop(std::hint::black_box(vec![1u8; 100_000]))).1 >= 100_000);
//! ```

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

/// The system's allocator, counting per thread, since tests run beside each other.
#[derive(Clone, Copy, Debug)]
pub struct Counting;

fn count(change: isize) {
    LIVE.with(|live| {
        live.set(live.get() + change);
        PEAK.with(|peak| peak.set(peak.get().max(live.get())));
    });
}

// An allocator can only be put in place by an unsafe impl. It adds counting to `System` and
// hands every argument on as it came.
#[allow(unsafe_code)]
// SAFETY: all contracts are `System`'s; the counters are thread-local cells without
// destructors, so that touching them allocates nothing and works at any time.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's layout.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's block and layout, which came from `System`.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // Old and new are both live while bytes are moved.
        count(new_size as isize);
        count(-(layout.size() as isize));
        // SAFETY: the caller's block, layout and size, which came from `System`.
        unsafe { System.realloc(at, layout, new_size) }
    }
}

/// What `run` gives, and the most bytes that were live at once on this thread during it, above those
/// before; 0 where the allocator is not in place.
///
/// # Panics
/// Never: the peak begins at what is live.
pub fn peak_of<T>(run: impl FnOnce() -> T) -> (T, usize) {
    let before = LIVE.get();
    PEAK.set(before);
    let result = run();
    let peak = usize::try_from(PEAK.get() - before).expect("the peak begins at what is live");
    (result, peak)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[global_allocator]
    static ALLOCATOR: Counting = Counting;

    #[test]
    fn the_counter_counts() {
        assert!(peak_of(|| drop(std::hint::black_box(vec![1u8; 100_000]))).1 >= 100_000);
        assert_eq!(peak_of(|| ()).1, 0);
        // While a block grows both are live.
        let mut grows: Vec<u8> = Vec::with_capacity(1000);
        assert!(peak_of(|| grows.reserve_exact(5000)).1 >= 5000);
    }
}
