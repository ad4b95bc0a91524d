//! What a run says at its end: a table for people, the same as JSON for machines.

use serde::{Deserialize, Serialize};

use crate::about::About;
use crate::latency::{Percentiles, Point};
use crate::plan::Plan;
use crate::recorder::{Measured, Second};
use crate::tally::Faults;
use crate::units;

/// The result of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) mode: String,
    #[serde(default)]
    pub(crate) protocol: String,
    /// What to call the run beside others; `null` if nobody gave it a name.
    #[serde(default)]
    pub(crate) label: Option<String>,
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
    pub(crate) durability: String,
    /// `null` if nothing was read back.
    pub(crate) lost: Option<u64>,
    pub(crate) duplicated: Option<u64>,
    pub(crate) out_of_order: Option<u64>,
    pub(crate) size: usize,
    pub(crate) batch: u32,
    pub(crate) connections: u16,
    /// Cores of the broker that served connections of the load; `null` if it does not say.
    #[serde(default)]
    pub(crate) cores_used: Option<usize>,
    /// `null` in an open loop.
    pub(crate) in_flight: Option<u16>,
    pub(crate) partitions: u16,
    /// `null` in a closed loop.
    pub(crate) rate: Option<u64>,
    /// Cores of the broker that was started; `null` if it is remote.
    pub(crate) broker_cores: Option<u16>,
    /// Configuration that the topic was created with.
    #[serde(default)]
    pub(crate) topic_config: Vec<(String, String)>,
    /// The whole curve of `latency_us`.
    #[serde(default)]
    pub(crate) latency_points: Vec<Point>,
    /// Second by second.
    #[serde(default)]
    pub(crate) series: Vec<Second>,
    #[serde(flatten)]
    pub(crate) about: About,
}

/// Cores of the broker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cores {
    /// That it was started with, if it was.
    pub(crate) started: Option<u16>,
    /// That served connections of the load, if it says.
    pub(crate) used: Option<usize>,
}

impl Report {
    /// Of a run that was planned like this and measured that.
    pub(crate) fn new(
        plan: &Plan,
        measured: &Measured,
        faults: Option<Faults>,
        cores: Cores,
        about: About,
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
            mode: plan.mode.name().to_owned(),
            protocol: plan.protocol.name().to_owned(),
            label: plan.label.clone(),
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
            durability: plan.durability().to_owned(),
            lost: faults.map(|f| f.lost),
            duplicated: faults.map(|f| f.duplicated),
            out_of_order: faults.map(|f| f.out_of_order),
            size: plan.size,
            batch: plan.batch,
            connections: plan.connections,
            cores_used: cores.used,
            in_flight: plan.rate.is_none().then_some(plan.in_flight),
            partitions: plan.partitions,
            rate: plan.rate,
            broker_cores: cores.started,
            topic_config: plan.topic_config.clone(),
            latency_points: measured.latencies.points(),
            series: measured.series.clone(),
            about,
        }
    }

    /// The table for people.
    pub(crate) fn print(&self) {
        let pace = self.pace();
        let cores = self.cores();
        let to = self.cores_used.map(|n| format!(" to {n} core(s)"));
        let to = to.unwrap_or_default();
        println!(
            "{} ({}): {} B x {}, {} connection(s){to}, {pace}, {} partition(s), {}, {cores}",
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

    /// How fast it was meant to go.
    pub(crate) fn pace(&self) -> String {
        match (self.rate, self.in_flight) {
            (Some(rate), _) => format!("{} messages/s wanted", units::count(rate as f64)),
            (None, in_flight) => format!("{} in flight", in_flight.unwrap_or(0)),
        }
    }

    /// What it ran on.
    pub(crate) fn cores(&self) -> String {
        self.broker_cores.map_or("remote broker".to_owned(), |n| {
            format!("broker on {n} core(s)")
        })
    }

    /// Whether everything that was read back was right.
    pub(crate) fn is_sound(&self) -> bool {
        [self.lost, self.duplicated, self.out_of_order]
            .iter()
            .all(|count| count.unwrap_or(0) == 0)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::latency::Latencies;

    /// A run of `seconds` seconds with 1,000 messages each, of which one in a hundred took
    /// `slow_us`.
    pub(crate) fn sample(label: &str, seconds: u32, slow_us: u64) -> Report {
        let mut latencies = Latencies::default();
        for us in 1..=100 {
            let us = if us == 100 { slow_us } else { 50 + us };
            latencies.record(Duration::from_micros(us), u64::from(seconds) * 10);
        }
        let second = |number| Second {
            until: f64::from(number),
            messages_per_second: 1000.0,
            p50_us: 100.0,
            p99_us: slow_us as f64,
            max_us: slow_us as f64,
        };
        let json = serde_json::json!({
            "mode": "e2e", "protocol": "kafka", "label": label,
            "messages": seconds * 1000, "duration_seconds": seconds,
            "messages_per_second": 1000.0, "bytes_per_second": 100_000.0,
            "latency_us": latencies.percentiles(),
            "broker_cpu_seconds": 0.5, "broker_cpu_us_per_message": 1.25,
            "bytes_written": 7000, "bytes_written_per_message": 7.0,
            "loadgen_cpu_seconds": 0.1, "durability": "synced",
            "lost": 0, "duplicated": 0, "out_of_order": 0,
            "size": 100, "batch": 1, "connections": 2, "in_flight": null,
            "partitions": 3, "rate": 1000, "broker_cores": 1, "cores_used": 1,
            "latency_points": latencies.points(),
            "series": (1..=seconds).map(second).collect::<Vec<_>>(),
            "command": "leveret-loadgen e2e", "started": 1_798_761_599_u64,
        });
        serde_json::from_value(json).expect("a report")
    }

    #[test]
    fn the_keys_that_others_read_are_there_and_a_report_survives_its_file() {
        let report = sample("a", 2, 900);
        let text = serde_json::to_string(&report).expect("plain keys");
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        for key in [
            "messages",
            "messages_per_second",
            "bytes_per_second",
            "broker_cpu_seconds",
            "bytes_written",
            "loadgen_cpu_seconds",
            "durability",
            "lost",
            "duplicated",
            "out_of_order",
        ] {
            assert!(value.get(key).is_some(), "{key}");
        }
        for key in ["p50", "p90", "p99", "p99_9", "p99_99", "max"] {
            assert!(value["latency_us"].get(key).is_some(), "{key}");
        }
        let read: Report = serde_json::from_str(&text).expect("a report");
        assert_eq!(read.series, report.series);
        assert_eq!(read.latency_points, report.latency_points);
        assert_eq!(serde_json::to_string(&read).expect("plain keys"), text);
    }

    #[test]
    fn a_report_of_before_the_curves_can_be_read() {
        let mut value = serde_json::to_value(sample("a", 1, 900)).expect("plain keys");
        let keys = value.as_object_mut().expect("an object");
        for new in [
            "protocol",
            "label",
            "latency_points",
            "series",
            "topic_config",
            "cores_used",
            "command",
        ] {
            assert!(keys.remove(new).is_some(), "{new}");
        }
        let old: Report = serde_json::from_value(value).expect("a report");
        assert_eq!((old.latency_points.len(), old.label), (0, None));
    }

    #[test]
    fn lost_messages_make_a_run_unsound() {
        let mut report = sample("a", 1, 900);
        assert!(report.is_sound());
        report.lost = Some(1);
        assert!(!report.is_sound());
    }
}
