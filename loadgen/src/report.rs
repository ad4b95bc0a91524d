//! What a run says at its end: a table for people, the same as JSON for machines.

use serde::Serialize;

use crate::latency::Percentiles;
use crate::plan::Plan;
use crate::recorder::Measured;
use crate::tally::Faults;
use crate::units;

/// The result of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) mode: &'static str,
    pub(crate) protocol: &'static str,
    /// Messages that were measured: acknowledged, or read.
    pub(crate) messages: u64,
    pub(crate) duration_seconds: f64,
    pub(crate) messages_per_second: f64,
    /// Bytes of messages, without batch headers.
    pub(crate) bytes_per_second: f64,
    /// From the intended time; `null` if nothing was measured.
    pub(crate) latency_us: Option<Percentiles>,
    /// From the kernel's count of the broker's process; `null` if it is remote.
    pub(crate) broker_cpu_seconds: Option<f64>,
    pub(crate) broker_cpu_us_per_message: Option<f64>,
    /// From the kernel's count of the broker's process; `null` if it is remote.
    pub(crate) bytes_written: Option<u64>,
    pub(crate) bytes_written_per_message: Option<f64>,
    pub(crate) loadgen_cpu_seconds: f64,
    /// The level that the topic acknowledges at; `unknown` where only the broker knows.
    pub(crate) durability: &'static str,
    /// `null` if nothing was read back.
    pub(crate) lost: Option<u64>,
    pub(crate) duplicated: Option<u64>,
    pub(crate) out_of_order: Option<u64>,
    pub(crate) size: usize,
    pub(crate) batch: u32,
    pub(crate) connections: u16,
    /// `null` in an open loop.
    pub(crate) in_flight: Option<u16>,
    pub(crate) partitions: u16,
    /// `null` in a closed loop.
    pub(crate) rate: Option<u64>,
    /// Cores of the broker that was started; `null` if it is remote.
    pub(crate) broker_cores: Option<u16>,
}

impl Report {
    /// Of a run that was planned like this and measured that.
    pub(crate) fn new(
        plan: &Plan,
        measured: &Measured,
        faults: Option<Faults>,
        broker_cores: Option<u16>,
    ) -> Self {
        let seconds = measured.elapsed.as_secs_f64();
        let messages = measured.messages as f64;
        let per_second = if seconds > 0.0 {
            messages / seconds
        } else {
            0.0
        };
        let per_message = |value: f64| (messages > 0.0).then(|| value / messages);
        let broker = measured.usages.broker;
        let written = broker.and_then(|usage| usage.bytes_written);
        Self {
            mode: plan.mode.name(),
            protocol: plan.protocol.name(),
            messages: measured.messages,
            duration_seconds: seconds,
            messages_per_second: per_second,
            bytes_per_second: per_second * plan.size as f64,
            latency_us: measured.latencies.percentiles(),
            broker_cpu_seconds: broker.map(|usage| usage.cpu_seconds),
            broker_cpu_us_per_message: broker
                .and_then(|usage| per_message(usage.cpu_seconds * 1e6)),
            bytes_written: written,
            bytes_written_per_message: written.and_then(|bytes| per_message(bytes as f64)),
            loadgen_cpu_seconds: measured.usages.load.cpu_seconds,
            durability: plan.durability(),
            lost: faults.map(|f| f.lost),
            duplicated: faults.map(|f| f.duplicated),
            out_of_order: faults.map(|f| f.out_of_order),
            size: plan.size,
            batch: plan.batch,
            connections: plan.connections,
            in_flight: plan.rate.is_none().then_some(plan.in_flight),
            partitions: plan.partitions,
            rate: plan.rate,
            broker_cores,
        }
    }

    /// The table for people.
    pub(crate) fn print(&self) {
        let pace = match (self.rate, self.in_flight) {
            (Some(rate), _) => format!("{} messages/s wanted", units::count(rate as f64)),
            (None, in_flight) => format!("{} in flight", in_flight.unwrap_or(0)),
        };
        let cores = self.broker_cores.map_or("remote broker".to_owned(), |n| {
            format!("broker on {n} core(s)")
        });
        println!(
            "{} ({}): {} B x {}, {} connection(s), {pace}, {} partition(s), {}, {cores}",
            self.mode,
            self.protocol,
            self.size,
            self.batch,
            self.connections,
            self.partitions,
            self.durability
        );
        println!(
            "  messages      {} in {:.2} s",
            self.messages, self.duration_seconds
        );
        println!(
            "  throughput    {} messages/s, {}",
            units::count(self.messages_per_second),
            units::bytes_per_second(self.bytes_per_second)
        );
        if let Some(latency) = &self.latency_us {
            println!("  latency       {}", units::percentiles(latency));
        }
        if let (Some(cpu), Some(each)) = (self.broker_cpu_seconds, self.broker_cpu_us_per_message) {
            println!("  broker CPU    {cpu:.2} s, {each:.3} µs per message");
        }
        if let (Some(bytes), Some(each)) = (self.bytes_written, self.bytes_written_per_message) {
            println!(
                "  disk writes   {:.1} MB, {each:.0} bytes per message",
                bytes as f64 / 1e6
            );
        }
        println!("  loadgen CPU   {:.2} s", self.loadgen_cpu_seconds);
        if let (Some(lost), Some(duplicated), Some(mixed)) =
            (self.lost, self.duplicated, self.out_of_order)
        {
            println!("  read back     {lost} lost, {duplicated} duplicated, {mixed} out of order");
        }
    }

    /// Whether everything that was read back was right.
    pub(crate) fn is_sound(&self) -> bool {
        [self.lost, self.duplicated, self.out_of_order]
            .iter()
            .all(|count| count.unwrap_or(0) == 0)
    }
}
