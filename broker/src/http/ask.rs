//! Questions to the cores, each with a deadline: a core that does not answer is named.

use std::time::Duration;

use leveret_storage::types::CoreId;

use super::CoreDesk;
use crate::core::figures::{Sheet, Wanted};
use crate::core::observe::{BrokerInsight, Insight, KnownTopic, LOGS, Pattern, Question};
use crate::core::status::{CoreReport, DamagedLog, PartitionReport, StoppedLog};
use crate::runtime::{Answered, AskError, figures};
use leveret_engine::topology::TopicName;
use leveret_storage::types::LogId;

/// How long a core has for one answer; a turn takes well under a millisecond.
const DEADLINE: Duration = Duration::from_secs(2);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unanswered {
    /// The core has ended or is overrun.
    #[error("core {}: {reason}", core.0)]
    Refused {
        /// The core that refused.
        core: CoreId,
        /// Its reason.
        reason: AskError,
    },
    /// It does not turn, or does not serve yet.
    #[error("core {} did not answer within {DEADLINE:?}", .0.0)]
    Late(CoreId),
    /// It turns, and lets no request in.
    #[error("core {}: requests have waited for memory for {seconds} s and none was let in", core.0)]
    Starved {
        /// The core that lets nobody in.
        core: CoreId,
        /// For how long.
        seconds: u64,
    },
}

fn cores(desk: &CoreDesk) -> impl Iterator<Item = CoreId> + use<> {
    (0..desk.cores()).map(CoreId)
}

async fn ask(
    desk: &CoreDesk,
    core: CoreId,
    question: Question,
) -> Result<Answered<Insight>, Unanswered> {
    match tokio::time::timeout(DEADLINE, desk.ask(core, question)).await {
        Ok(Ok(answered)) => Ok(answered),
        Ok(Err(reason)) => Err(Unanswered::Refused { core, reason }),
        Err(_) => Err(Unanswered::Late(core)),
    }
}

/// Takes the answer that belongs to a question.
macro_rules! expect {
    ($answered:expr, $insight:path) => {
        match $answered.answer {
            $insight(answer) => answer,
            other => unreachable!("a core answers what it was asked: {other:?}"),
        }
    };
}

/// Whether every core turns and serves.
pub(super) async fn all_alive(desk: &CoreDesk) -> Result<(), Unanswered> {
    for core in cores(desk) {
        let answered = ask(desk, core, Question::Alive).await?;
        if let Insight::Starved(nanoseconds) = answered.answer {
            let seconds = nanoseconds / 1_000_000_000;
            return Err(Unanswered::Starved { core, seconds });
        }
    }
    Ok(())
}

/// Every core with all its figures and those of its driver, in their order.
pub(super) async fn reports(desk: &CoreDesk) -> Result<Vec<CoreReport>, Unanswered> {
    let mut all = Vec::new();
    for core in cores(desk) {
        let answered = ask(desk, core, Question::Core).await?;
        let mut of_driver = Sheet::new(Wanted::All);
        figures::tell(&answered.driver, &mut of_driver);
        let mut report = expect!(answered, Insight::Core);
        report.figures.extend(of_driver.told());
        all.push(*report);
    }
    Ok(all)
}

/// The broker as a whole.
pub(super) async fn broker(desk: &CoreDesk) -> Result<BrokerInsight, Unanswered> {
    let answered = ask(desk, CoreId(0), Question::Broker).await?;
    Ok(expect!(answered, Insight::Broker))
}

/// The next topics by name that are meant so, after this one; none if there are no more. Those that come
/// and go between two pages may be missing.
pub(super) async fn topics(
    desk: &CoreDesk,
    pattern: &Pattern,
    after: Option<TopicName>,
) -> Result<Vec<KnownTopic>, Unanswered> {
    let answered = ask(desk, CoreId(0), Question::Topics(pattern.clone(), after)).await?;
    Ok(expect!(answered, Insight::Topics))
}

/// Where partitions of one core stand, in the order given.
pub(super) async fn logs(
    desk: &CoreDesk,
    core: CoreId,
    logs: &[LogId],
) -> Result<Vec<PartitionReport>, Unanswered> {
    let mut all = Vec::with_capacity(logs.len());
    for page in logs.chunks(LOGS) {
        let answered = ask(desk, core, Question::Logs(page.to_vec())).await?;
        all.extend(expect!(answered, Insight::Logs));
    }
    Ok(all)
}

/// The logs of one core that stopped.
pub(super) async fn stopped(desk: &CoreDesk, core: CoreId) -> Result<Vec<StoppedLog>, Unanswered> {
    let mut all: Vec<StoppedLog> = Vec::new();
    loop {
        let after = all.last().map(|stopped| stopped.log);
        let answered = ask(desk, core, Question::Stopped(after)).await?;
        let page = expect!(answered, Insight::Stopped);
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

/// The logs of one core that are damaged.
pub(super) async fn damaged(desk: &CoreDesk, core: CoreId) -> Result<Vec<DamagedLog>, Unanswered> {
    let mut all: Vec<DamagedLog> = Vec::new();
    loop {
        let after = all.last().map(|damaged| damaged.log);
        let answered = ask(desk, core, Question::Damaged(after)).await?;
        let page = expect!(answered, Insight::Damaged);
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}
