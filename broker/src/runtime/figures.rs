//! What the loop of a core counts: figures that `/metrics` shows beside those of the core itself.

use super::DriverInsight;
use crate::core::figures::{Figure, Kind, family};

family! { [] of: &DriverInsight;
    Figure::gauge("leveret_disk_operations", "Disk operations under way")
        => of.disk_operations;
    Figure::counter("leveret_core_turns", "Turns of the core's loop")
        => of.turns.lengths.count();
    Figure::metric(
        Kind::Seconds,
        "leveret_core_busy_seconds",
        "Time that the core's loop was not asleep",
    ) => of.turns.busy();
    Figure::metric(
        Kind::Times(10, 30),
        "leveret_core_turn_duration_seconds",
        "Length of the turns of the core's loop",
    ) => &of.turns.lengths;
    Figure::metric(
        Kind::Longest,
        "leveret_core_longest_turn_cpu_seconds",
        "The most CPU time that one turn of the core's loop took since the start",
    ) => of.turns.longest_cpu;
    Figure::counter(
        "leveret_core_watchdog_wakeups",
        "Times that the core stood still and was woken from outside",
    ) => of.stalls;
    Figure::counter(
        "leveret_connections_handed_over",
        "Connections that another core accepted and handed over to this one, which they named",
    ) => of.handed_over;
    Figure::counter(
        "leveret_connections_refused",
        "Connections refused because too many were open",
    ) => of.refused;
}
