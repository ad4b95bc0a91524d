use std::collections::BTreeSet;

use leveret_storage::types::LogId;

use super::*;

#[test]
fn what_is_declared_fits_together() {
    let of_cores: Vec<_> = declared().collect();
    let of_partitions: Vec<_> = of_partitions().collect();
    fits(&of_cores);
    fits(&of_partitions);
    let name = |figure: &&Figure| figure.metric.as_ref().map(|metric| metric.name);
    for own in of_partitions.iter().filter_map(name) {
        assert!(!of_cores.iter().filter_map(name).any(|other| other == own));
    }
    for figure in of_partitions {
        let kind = figure.metric.as_ref().map(|metric| metric.kind);
        let is_count = kind.is_none_or(|kind| matches!(kind, Kind::Counter | Kind::Gauge));
        assert!(is_count, "{figure:?}");
    }
}

#[test]
fn counts_of_partitions_stand_under_their_keys_in_the_order_of_partitions() {
    let report = |log, records_in, bytes_out| {
        let mut report = PartitionReport::absent(LogId(log));
        report.traffic.records_in = records_in;
        report.traffic.bytes_out = bytes_out;
        report
    };
    let told = by_key(&[report(1, 10, 20), report(2, 30, 40)]);
    let of = |key| {
        told.iter()
            .find(|(own, _)| *own == key)
            .map(|(_, counts)| &counts[..])
    };
    assert_eq!(of("records_in"), Some(&[10, 30][..]));
    assert_eq!(of("bytes_out"), Some(&[20, 40][..]));
    assert_eq!(of("bytes_in"), Some(&[0, 0][..]));
    assert_eq!(of("end_offset"), None, "it has no key");
    assert!(by_key(&[]).iter().all(|(_, counts)| counts.is_empty()));
}

fn fits(figures: &[&'static Figure]) {
    let keys: Vec<_> = figures.iter().filter_map(|figure| figure.key).collect();
    let unique: BTreeSet<_> = keys.iter().collect();
    assert_eq!(unique.len(), keys.len(), "a key is there twice: {keys:?}");
    let mut metrics: Vec<(&str, Option<&str>)> = Vec::new();
    for figure in figures {
        assert!(figure.metric.is_some() || figure.key.is_some());
        if let Some(column) = &figure.column {
            assert!(figure.key.is_some(), "{column:?} has nothing to show");
            if let Form::SizeOf(all) = column.form {
                assert!(keys.contains(&all), "there is no {all}");
            }
        }
        let Some(metric) = &figure.metric else {
            continue;
        };
        let name = metric.name;
        assert!(
            name.starts_with("leveret_") && !name.ends_with("_total"),
            "{name}"
        );
        let in_seconds = matches!(metric.kind, Kind::Seconds | Kind::Longest | Kind::Times(..));
        assert_eq!(in_seconds, name.ends_with("_seconds"), "the unit of {name}");
        let again = metrics.contains(&(name, metric.pool));
        let apart = metrics.iter().any(|before| before.0 == name)
            && metrics.last().is_some_and(|last| last.0 != name);
        assert!(!again && !apart, "{name} is there twice");
        metrics.push((name, metric.pool));
    }
}
