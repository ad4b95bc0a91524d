//! Topics with where their partitions stand, a page at a time: all of them, or as much of a choice as one
//! report names.

use std::collections::BTreeMap;

use leveret_storage::types::{CoreId, LogId};

use super::CoreDesk;
use super::ask::{self, Unanswered};
use crate::core::observe::{Chosen, KnownTopic, MOST_PARTITIONS};
use crate::core::status::PartitionReport;

/// What is told of topics.
pub(super) struct Topics {
    /// By name.
    pub(super) told: Vec<ToldTopic>,
    /// There are more partitions than were to be told.
    pub(super) truncated: bool,
}

/// A topic, and each partition that is told of it, by number.
pub(super) struct ToldTopic {
    pub(super) known: KnownTopic,
    /// As many as the topic has places.
    pub(super) partitions: Vec<PartitionReport>,
}

impl Topics {
    /// All that there are.
    pub(super) async fn all(desk: &CoreDesk) -> Result<Self, Unanswered> {
        Self::ask(desk, &Chosen::all(), usize::MAX).await
    }

    /// Those of a choice, with [`MOST_PARTITIONS`] partitions at most.
    pub(super) async fn chosen(desk: &CoreDesk, chosen: &Chosen) -> Result<Self, Unanswered> {
        Self::ask(desk, chosen, MOST_PARTITIONS).await
    }

    async fn ask(desk: &CoreDesk, chosen: &Chosen, most: usize) -> Result<Self, Unanswered> {
        let (topics, truncated) = found(desk, chosen, most).await?;
        let mut by_core: BTreeMap<CoreId, Vec<LogId>> = BTreeMap::new();
        for (log, core) in topics.iter().flat_map(|known| &known.places) {
            by_core.entry(*core).or_default().push(*log);
        }
        let mut reports = BTreeMap::new();
        for (core, logs) in &by_core {
            let described = ask::logs(desk, *core, logs).await?;
            reports.extend(described.into_iter().map(|report| (report.log, report)));
        }
        let mut report_of = |(log, _): &(LogId, CoreId)| {
            let report = reports.remove(log);
            report.unwrap_or_else(|| PartitionReport::absent(*log))
        };
        let told = topics.into_iter().map(|known| ToldTopic {
            partitions: known.places.iter().map(&mut report_of).collect(),
            known,
        });
        Ok(Self {
            told: told.collect(),
            truncated,
        })
    }
}

/// The topics of a choice, the last of them without the places that are beyond `most`, and whether there
/// are more.
async fn found(
    desk: &CoreDesk,
    chosen: &Chosen,
    most: usize,
) -> Result<(Vec<KnownTopic>, bool), Unanswered> {
    let mut all = Vec::new();
    let mut room = most;
    for pattern in chosen.patterns() {
        let mut after = None;
        loop {
            let page = ask::topics(desk, pattern, after).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.topic.name.clone());
            for mut known in page {
                let fits = known.places.len() <= room;
                known.places.truncate(room);
                room -= known.places.len();
                if !known.places.is_empty() {
                    all.push(known);
                }
                if !fits {
                    return Ok((all, true));
                }
            }
        }
    }
    Ok((all, false))
}
