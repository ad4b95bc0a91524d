//! What a run, and all runs together, went through: a simulation in which nothing happened shows
//! nothing.

use serde::Serialize;

use crate::disk::DiskCounters;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// Numbers of one run or of many.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64),+
        }

        impl Counters {
            /// Adds another run's numbers.
            pub fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)+
            }

            /// Every number with its name, in the order of declaration.
            #[must_use]
            pub fn named(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name)),+]
            }
        }
    };
}

counters! {
    /// Crashes of any kind.
    crashes,
    /// Crashes by power cut.
    power_cuts,
    /// Crashes of the process alone.
    kills,
    /// Crashes of the system with the device's power on.
    system_crashes,
    /// Power cuts while bytes written before an earlier kill were still unsynced.
    kills_followed_by_power_cuts,
    /// Crashes inside recovery.
    crashes_during_recovery,
    /// Stops that were allowed to finish.
    clean_stops,
    /// Recoveries that finished.
    recoveries,
    /// Recoveries with another number of cores than the run before.
    core_count_changes,
    /// Entries that changed nothing but where they were kept, over a recovery: logs moved to
    /// another core.
    logs_moved,
    /// Recoveries that met a torn end.
    torn_ends,
    /// Writes of which a crash kept a part.
    torn_writes,
    /// Sectors left neither old nor new.
    garbled_sectors,
    /// Completed writes lost whole.
    lost_writes,
    /// Directory changes lost.
    lost_directory_entries,
    /// Files that got another name.
    renames,
    /// Completions out of order.
    reorders,
    /// Device operations.
    operations,
    /// Device operations failed on purpose.
    faults,
    /// Entries handed in.
    appends,
    /// Bytes handed in.
    appended_bytes,
    /// Entries acknowledged at their level.
    acknowledged,
    /// Entries that crashes took without breaking a promise.
    cut,
    /// Entries compared by reads.
    entries_read,
    /// Look-ups by time that were checked.
    time_lookups,
    /// Times that a ring began again.
    journal_laps,
    /// Appends refused for want of journal space.
    full_rings,
    /// Times that appends began to be refused for want of space on the disk.
    full_disks,
    /// Operations that the disk refused for want of space.
    space_refusals,
    /// Times that space came back, and everything went on without a start.
    resumptions,
    /// Extent records.
    extents,
    /// Extent records that carried a tail.
    extents_with_tails,
    /// Runs of records copied forward.
    copy_forwards,
    /// Write-behind jobs.
    write_behinds,
    /// Segments padded and closed to give journal space back.
    padded_closes,
    /// Commits of the journals.
    commits,
    /// Commits without a record.
    empty_commits,
    /// Machine snapshots handed in.
    snapshots,
    /// Trims that became durable.
    trims,
    /// Logs deleted.
    drops,
    /// Logs whose deletion was asked for while files of theirs were listed or read.
    drops_amid_reads,
    /// Batches refused for the moment.
    refusals,
    /// Topics or logs altered, durably.
    alterations,
    /// Logs that stopped after a failed write.
    stopped_logs,
    /// Answers that were compared with those of a broker of one core.
    requests_compared,
    /// Requests of clients of whole brokers that crash.
    requests,
    /// Their answers.
    answers,
    /// What subscriptions were pushed.
    pushes,
    /// Connections that sent their last and were answered to the end.
    hung_up,
    /// Connections that another core took over.
    handed_over,
}

impl Counters {
    /// Adds what the disk counted.
    pub fn add_disk(&mut self, disk: &DiskCounters) {
        self.operations += disk.operations;
        self.reorders += disk.reorders;
        self.torn_writes += disk.torn_writes;
        self.garbled_sectors += disk.garbled_sectors;
        self.lost_writes += disk.lost_writes;
        self.lost_directory_entries += disk.lost_directory_entries;
        self.renames += disk.renames;
        self.faults += disk.faults;
    }
}
