//! Which CPUs the cores run on: chosen from those that the process may use.
//!
//! It does not look at topology or load: the operator decides, by count or by list.

use std::io;

use super::RuntimeError;

/// How many cores to run and where.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum CpuChoice {
    /// One core on each CPU that the process is allowed to use.
    #[default]
    All,
    /// The first so many allowed CPUs.
    First(usize),
    /// Exactly these, in this order.
    List(Vec<usize>),
}

/// More cores than this are refused: core ids are 16 bits on disk, and the mesh grows by the
/// square.
const MOST_CORES: usize = 256;

impl CpuChoice {
    /// The CPUs to pin to, one per core.
    ///
    /// # Errors
    /// If the process may not use them, or may not be pinned.
    pub fn resolve(&self) -> Result<Vec<usize>, RuntimeError> {
        let refused = |call| move |source| RuntimeError::Pinning { call, source };
        let allowed = allowed().map_err(refused("sched_getaffinity"))?;
        stay_put().map_err(refused("sched_setaffinity"))?;
        self.resolve_within(&allowed)
    }

    fn resolve_within(&self, allowed: &[usize]) -> Result<Vec<usize>, RuntimeError> {
        let cpus = match self {
            Self::All => allowed.iter().copied().take(MOST_CORES).collect(),
            Self::First(count) => {
                if *count == 0 || *count > allowed.len().min(MOST_CORES) {
                    return Err(RuntimeError::Cpus(format!(
                        "{count} cores asked for, but this process may use {} CPUs ({allowed:?}); \
                         change --cores",
                        allowed.len()
                    )));
                }
                allowed[..*count].to_vec()
            }
            Self::List(list) => {
                if list.is_empty() || list.len() > MOST_CORES {
                    return Err(RuntimeError::Cpus(
                        "--cpus must name 1 to 256 CPUs".to_owned(),
                    ));
                }
                if let Some(cpu) = list.iter().find(|cpu| !allowed.contains(cpu)) {
                    return Err(RuntimeError::Cpus(format!(
                        "CPU {cpu} is not one that this process may use ({allowed:?}); \
                         change --cpus"
                    )));
                }
                list.clone()
            }
        };
        Ok(cpus)
    }
}

/// Where the kernel's workers may help the cores: on allowed CPUs that no core is pinned to, or
/// on all if there is none to spare.
pub(super) fn for_workers(cores: &[usize]) -> io::Result<libc::cpu_set_t> {
    let allowed = allowed()?;
    let spare = |cpu: &&usize| !cores.contains(cpu);
    let any_spare = allowed.iter().any(|cpu| spare(&cpu));
    let chosen = allowed.iter().filter(|cpu| !any_spare || spare(cpu));
    #[expect(unsafe_code, reason = "CPU_SET writes a plain bit set")]
    // SAFETY: the set is plain old data, valid when zero; allowed CPUs are below CPU_SETSIZE.
    let set = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        chosen.for_each(|&cpu| libc::CPU_SET(cpu, &mut set));
        set
    };
    Ok(set)
}

/// Runs the calling thread on these CPUs only, and less eagerly than others.
pub(super) fn run_on(cpus: &libc::cpu_set_t) -> io::Result<()> {
    /// In between: a busy core takes most of a CPU that both want.
    const NICENESS: libc::c_int = 10;
    #[expect(unsafe_code, reason = "sched_setaffinity(2) and setpriority(2)")]
    // SAFETY: the set is live and its true size is given; 0 is the calling thread.
    let results = unsafe {
        [
            libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), cpus),
            libc::setpriority(libc::PRIO_PROCESS, 0, NICENESS),
        ]
    };
    if results == [0, 0] {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Asks the kernel to let this thread run where it may run already, which shows whether threads
/// can be pinned at all.
fn stay_put() -> io::Result<()> {
    let set = affinity()?;
    #[expect(unsafe_code, reason = "sched_setaffinity(2) reads a plain bit set")]
    // SAFETY: the set is live and its true size is given; 0 is the calling thread.
    let result =
        unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// The process's affinity mask.
fn affinity() -> io::Result<libc::cpu_set_t> {
    #[expect(unsafe_code, reason = "sched_getaffinity(2) fills a plain bit set")]
    // SAFETY: the set is plain old data, valid when zero, and its true size is given.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        if libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(set)
    }
}

/// The CPUs in the process's affinity mask, ascending.
pub(super) fn allowed() -> io::Result<Vec<usize>> {
    let set = affinity()?;
    let bits = usize::try_from(libc::CPU_SETSIZE).expect("a small positive constant");
    #[expect(unsafe_code, reason = "CPU_ISSET reads the set")]
    // SAFETY: every index is below CPU_SETSIZE.
    let cpus = (0..bits)
        .filter(|&cpu| unsafe { libc::CPU_ISSET(cpu, &set) })
        .collect();
    Ok(cpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_stays_within_what_is_allowed() {
        let resolve = |choice: CpuChoice| choice.resolve_within(&[2, 3, 7]).ok();
        assert_eq!(resolve(CpuChoice::All), Some(vec![2, 3, 7]));
        assert_eq!(resolve(CpuChoice::First(2)), Some(vec![2, 3]));
        assert_eq!(resolve(CpuChoice::First(4)), None);
        assert_eq!(resolve(CpuChoice::First(0)), None);
        assert_eq!(resolve(CpuChoice::List(vec![7, 2])), Some(vec![7, 2]));
        assert_eq!(resolve(CpuChoice::List(vec![4])), None);
    }

    #[test]
    fn this_process_may_use_a_cpu() {
        assert!(!allowed().unwrap().is_empty());
    }
}
