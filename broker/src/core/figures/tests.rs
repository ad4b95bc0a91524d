use std::collections::BTreeSet;

use super::*;

#[test]
fn what_is_declared_fits_together() {
    let figures: Vec<_> = declared().collect();
    let keys: Vec<_> = figures.iter().filter_map(|figure| figure.key).collect();
    let unique: BTreeSet<_> = keys.iter().collect();
    assert_eq!(unique.len(), keys.len(), "a key is there twice: {keys:?}");
    let mut metrics: Vec<(&str, Option<&str>)> = Vec::new();
    for figure in &figures {
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
