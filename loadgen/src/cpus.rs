//! Which CPUs there are, and who gets which: the broker and the load on different ones where
//! that is possible.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// CPUs that this process may use, ascending.
pub(crate) fn allowed() -> Vec<usize> {
    let Ok(set) = sched_getaffinity(None) else {
        return Vec::new();
    };
    (0..CpuSet::MAX_CPU)
        .filter(|cpu| set.is_set(*cpu))
        .collect()
}

/// `cores` CPUs for the broker, and the rest for the load. Where none would be left, the load gets
/// all CPUs.
pub(crate) fn apart(cores: usize) -> (Vec<usize>, Vec<usize>) {
    divide(&allowed(), cores)
}

fn divide(all: &[usize], cores: usize) -> (Vec<usize>, Vec<usize>) {
    let (broker, load) = all.split_at(cores.min(all.len()));
    let load = if load.is_empty() { all } else { load };
    (broker.to_vec(), load.to_vec())
}

/// Keeps the calling thread, and those that it will start, to these CPUs. A refusal by the kernel
/// is said and otherwise ignored: figures are then noisier, not wrong.
pub(crate) fn pin(cpus: &[usize]) {
    let mut set = CpuSet::new();
    for cpu in cpus {
        set.set(*cpu);
    }
    if !cpus.is_empty()
        && let Err(error) = sched_setaffinity(None, &set)
    {
        eprintln!("warning: cannot pin to CPUs {cpus:?}: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::divide;

    #[test]
    fn the_load_has_other_cpus_than_the_broker_where_it_can() {
        assert_eq!(divide(&[0, 1], 1), (vec![0], vec![1]));
        assert_eq!(divide(&[0, 1], 2), (vec![0, 1], vec![0, 1]));
        assert_eq!(divide(&[4, 5, 6], 1), (vec![4], vec![5, 6]));
        assert_eq!(divide(&[], 1), (vec![], vec![]));
    }
}
