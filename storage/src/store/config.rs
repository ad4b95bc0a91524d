//! What a store is told when it opens, and for each log. Every bound is a number here.

use crate::class::Classes;
use crate::mutation::Mutation;
use crate::types::Level;

/// Bounds and thresholds of one core's store. All of them can be made small, so that a simulated
/// ring laps in a few kilobytes.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// Largest commit, bytes with header and padding; the store lowers it to what the ring
    /// allows (a file, an eighth of the ring).
    pub max_commit_bytes: usize,
    /// Commits in flight at most (W).
    pub commits_in_flight: usize,
    /// Pending bytes that justify a further commit beside those in flight.
    pub parallel_commit_bytes: usize,
    /// Unflushed bytes of one log from which they are written behind.
    pub write_behind_bytes: usize,
    /// What one log holds of the journal, bytes, from which large amounts that are pending wait
    /// until that is written behind.
    pub backlog_bytes: u64,
    /// One segment write, bytes (a multiple of the block).
    pub segment_write_bytes: usize,
    /// How much longer than what is written a segment's file is made at most, bytes (a multiple of
    /// the block); 0: not at all.
    pub reserve_bytes: u64,
    /// Bytes of segment writes that are put together in a turn, but for the last of them.
    pub turn_copy_bytes: usize,
    /// Segment writes in flight per log.
    pub segment_writes_in_flight: usize,
    /// Logs that are written behind at the same time.
    pub flush_jobs: usize,
    /// What a log left in the oldest commits is copied forward below this many bytes.
    pub copy_forward_bytes: usize,
    /// Span target, bytes.
    pub span_bytes: usize,
    /// Largest entry, bytes.
    pub max_entry_bytes: usize,
    /// Snapshots up to this many bytes stand in the journal, larger ones in a file.
    pub inline_snapshot_bytes: usize,
    /// What logs of each kind are like.
    pub classes: Classes,
    /// Entries held in memory, bytes.
    pub tail_cache_bytes: usize,
    /// Verified spans held in memory, bytes.
    pub span_cache_bytes: usize,
    /// Segment indexes held in memory, bytes.
    pub index_cache_bytes: usize,
    /// Entries held in memory by one log of level [`Level::Memory`], bytes; older ones go.
    pub memory_log_bytes: usize,
    /// Read from a segment at once, bytes.
    pub read_bytes: usize,
    /// Read from segments by all reads under way, bytes; one may be longer.
    pub reads_in_flight_bytes: usize,
    /// Silence after the last commit before an empty one vouches for it, nanoseconds.
    pub idle_commit_ns: u64,
    /// Longest time between the completion of a `written` commit and its sync, nanoseconds.
    pub lazy_sync_ns: u64,
    /// Longest time between looks at a log with limits of which nothing is known to have to go,
    /// nanoseconds: for clocks that are set, and segments of earlier runs.
    pub retention_check_ns: u64,
    /// Appends are refused while the file system has less than this free, bytes.
    pub disk_floor_bytes: u64,
    /// Free space is asked for at most this often, and what the file system refused for want of
    /// space is tried again as often, nanoseconds.
    pub free_space_check_ns: u64,
    /// How long a stop writes behind at most what only the journal holds, so that the next start
    /// reads little, nanoseconds; 0: not at all.
    pub tidy_ns: u64,
    /// Whether journal files are zero-filled in the background.
    pub prefill: bool,
    /// The rule to break; only heeded with the cargo feature `mutations`.
    pub mutation: Option<Mutation>,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            max_commit_bytes: 1 << 20,
            commits_in_flight: 4,
            parallel_commit_bytes: 64 << 10,
            write_behind_bytes: 1 << 20,
            backlog_bytes: 8 << 20,
            segment_write_bytes: 1 << 20,
            reserve_bytes: 64 << 20,
            turn_copy_bytes: 2 << 20,
            segment_writes_in_flight: 2,
            flush_jobs: 16,
            copy_forward_bytes: 32 << 10,
            span_bytes: 32 << 10,
            max_entry_bytes: 128 << 20,
            inline_snapshot_bytes: 16 << 10,
            classes: Classes::default(),
            tail_cache_bytes: 128 << 20,
            span_cache_bytes: 32 << 20,
            index_cache_bytes: 16 << 20,
            memory_log_bytes: 16 << 20,
            read_bytes: 1 << 20,
            reads_in_flight_bytes: 4 << 20,
            idle_commit_ns: 50_000_000,
            lazy_sync_ns: 50_000_000,
            retention_check_ns: 300_000_000_000,
            disk_floor_bytes: 256 << 20,
            free_space_check_ns: 1_000_000_000,
            tidy_ns: 1_500_000_000,
            prefill: true,
            mutation: None,
        }
    }
}

/// What can be set per log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// Strongest promise that an acknowledgement of this log makes. A log stays at
    /// [`Level::Memory`], or away from it, for its life.
    pub level: Level,
    /// The oldest segments go while the rest holds at least this many bytes.
    pub retention_bytes: Option<u64>,
    /// A segment goes when its newest record is older than this, milliseconds.
    pub retention_ms: Option<u64>,
    /// A segment is closed before it grows beyond this, bytes.
    pub segment_bytes: u64,
    /// A segment is closed at this age, milliseconds, so that retention by time can drop it.
    pub segment_ms: u64,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            level: Level::Synced,
            retention_bytes: None,
            retention_ms: None,
            segment_bytes: 1 << 30,
            segment_ms: 7 * 24 * 3600 * 1000,
        }
    }
}
