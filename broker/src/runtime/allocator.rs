//! What the C library's allocator does with memory that is given back to it.
//!
//! By default it returns it to the kernel at once and gets it again a moment later, with a page
//! fault and 4 KiB of zeroes for every page: taking and evicting batches of 1 MiB, half of the
//! broker's CPU went there. How much there can be at all is bounded elsewhere, by the budgets of
//! `memory.*`.
//!
//! So what a burst has taken stays, and belongs to nobody. While there is little to do the supervisor looks
//! how much that is, and returns it when it is much.

use leveret_storage::types::Mono;

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

/// How often it is looked whether much memory is kept for nothing, nanoseconds.
const LOOK_EVERY: u64 = 5_000_000_000;
/// Bytes above what is in use, and above what cannot be returned, that are worth the kernel's work.
const MUCH: u64 = 24 << 20;
/// A core that uses less than this part of a CPU has little to do: to return memory holds the allocator for some
/// milliseconds, in which a core waits if it needs memory.
const LITTLE: u64 = 4;

/// What the process has, in bytes, and has used of CPUs, in nanoseconds.
#[derive(Clone, Copy, Debug)]
struct Taken {
    cpu: u64,
    /// What the allocator has given out.
    in_use: u64,
    /// Resident above that.
    surplus: u64,
}

/// Memory that was freed and not returned, as one thread looks at it from time to time.
#[derive(Debug, Default)]
pub(super) struct Surplus {
    /// When it was looked at last, and the process's CPU time then.
    looked: Option<(Mono, u64)>,
    /// What was left when some was returned last: code, stacks, buffers of the kernel's, holes.
    left: u64,
    /// What was in use then: between that the holes were.
    in_use: u64,
}

impl Surplus {
    /// Returns memory to the kernel if much is kept, and `cores` cores have little to do.
    pub(super) fn look(&mut self, cores: usize, now: Mono) {
        if self
            .looked
            .is_some_and(|(at, _)| now.since(at) < LOOK_EVERY)
        {
            return;
        }
        let Some(taken) = taken() else { return };
        if self.is_worth_it(taken, cores, now) {
            give_back();
            let after = self::taken().unwrap_or(taken);
            (self.left, self.in_use) = (after.surplus, after.in_use);
            tracing::debug!(
                bytes = taken.surplus.saturating_sub(after.surplus),
                "memory that a burst had taken was returned"
            );
        }
    }

    fn is_worth_it(&mut self, taken: Taken, cores: usize, now: Mono) -> bool {
        let before = self.looked.replace((now, taken.cpu));
        let Some((at, cpu)) = before else {
            return false;
        };
        let time = now.since(at).saturating_mul(cores as u64);
        let quiet = (taken.cpu - cpu).saturating_mul(LITTLE) < time;
        self.left = self.left.min(taken.surplus);
        // What was returned amid a burst has left the holes between what was in use then; where that is freed
        // now, they can go, too.
        let freed = self.in_use.saturating_sub(taken.in_use);
        quiet && taken.surplus + freed >= self.left + MUCH
    }
}

#[cfg(target_env = "gnu")]
fn taken() -> Option<Taken> {
    let resident = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = resident.split(' ').nth(1)?.parse().ok()?;
    #[expect(unsafe_code, reason = "asks the C library")]
    // SAFETY: the calls take and give numbers.
    let (heap, page) = unsafe { (libc::mallinfo2(), libc::sysconf(libc::_SC_PAGESIZE)) };
    let resident = pages * u64::try_from(page).ok()?;
    let given_out = (heap.uordblks + heap.hblkhd) as u64;
    Some(Taken {
        cpu: super::clock::process_cpu(),
        in_use: given_out,
        surplus: resident.saturating_sub(given_out),
    })
}

#[cfg(target_env = "gnu")]
fn give_back() {
    #[expect(unsafe_code, reason = "tells the C library")]
    // SAFETY: it returns pages that nobody has, and is safe beside other threads (malloc_trim(3)).
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Other C libraries go their own way.
#[cfg(not(target_env = "gnu"))]
fn taken() -> Option<Taken> {
    None
}

#[cfg(not(target_env = "gnu"))]
fn give_back() {}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn at(surplus: u64, cpu_ms: u64) -> Taken {
        let cpu = cpu_ms * MS;
        Taken {
            cpu,
            in_use: 10 << 20,
            surplus,
        }
    }

    #[test]
    fn memory_is_returned_when_it_is_much_and_there_is_little_to_do() {
        let mut surplus = Surplus {
            looked: None,
            left: 20 << 20,
            in_use: 10 << 20,
        };
        let mut worth_it = |taken, ms| surplus.is_worth_it(taken, 2, Mono(ms * MS));
        assert!(
            !worth_it(at(500 << 20, 0), 0),
            "nobody knows how busy it is"
        );
        assert!(!worth_it(at(500 << 20, 2600), 5000), "busy");
        assert!(!worth_it(at(40 << 20, 2700), 10_000), "not much");
        assert!(worth_it(at(500 << 20, 2800), 15_000));
    }

    #[test]
    fn holes_between_what_has_been_freed_since_are_returned() {
        let mut surplus = Surplus {
            looked: Some((Mono(0), 0)),
            left: 45 << 20,
            in_use: 110 << 20,
        };
        assert!(surplus.is_worth_it(at(70 << 20, 0), 2, Mono(5000 * MS)));
        surplus.in_use = 10 << 20;
        assert!(!surplus.is_worth_it(at(65 << 20, 0), 2, Mono(10_000 * MS)));
    }

    #[test]
    #[cfg(target_env = "gnu")]
    fn what_was_freed_is_returned() {
        let begun = taken().expect("Linux").surplus;
        let much: Vec<Vec<u8>> = (0..4096).map(|_| vec![1; 60_000]).collect();
        // One in a hundred stays, so that no end of a heap is free.
        let kept: Vec<Vec<u8>> = much.into_iter().step_by(100).collect();
        let before = taken().expect("Linux").surplus;
        assert!(before > begun + (100 << 20), "{before} beside {begun}");
        give_back();
        let after = taken().expect("Linux").surplus;
        assert!(after < begun + (32 << 20), "{after} beside {begun}");
        drop(kept);
    }
}
