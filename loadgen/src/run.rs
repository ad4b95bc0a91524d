//! A run from its first connection to its report.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::LocalSet;

use crate::about::About;
use crate::args::{BrokerArgs, LoadArgs, WorkArgs};
use crate::consume::{self, Clock};
use crate::cpus;
use crate::failure::Failure;
use crate::html;
use crate::latency::Latencies;
use crate::plan::{Mode, Plan};
use crate::produce::{self, Sent};
use crate::recorder::{Measured, Recorder};
use crate::report::{Cores, Report};
use crate::tally::{Faults, Tally};
use crate::target::Target;

/// How long a reader may lag behind the last acknowledgement before what is missing is lost.
const LAG: Duration = Duration::from_secs(30);

/// What a run has measured.
pub(crate) struct Outcome {
    pub(crate) report: Report,
    pub(crate) latencies: Latencies,
}

/// Runs, prints, cleans up.
///
/// # Errors
/// What kept it from running to the end, or that what was read back is not what was acknowledged.
pub(crate) fn run(mode: Mode, args: &LoadArgs) -> Result<(), Failure> {
    let about = About::now();
    let label = args.label.clone();
    let report = once(mode, &args.broker, &args.work, label, about)?.report;
    let page = || html::runs(std::slice::from_ref(&report));
    args.output.put(&report, || report.print(), page)?;
    sound(&report)
}

/// Runs once, without a word but for the progress.
///
/// # Errors
/// What kept it from running to the end.
pub(crate) fn once(
    mode: Mode,
    broker: &BrokerArgs,
    work: &WorkArgs,
    label: Option<String>,
    about: About,
) -> Result<Outcome, Failure> {
    let plan = Plan::new(mode, broker, work, label)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            Failure::new(
                format!("cannot start an event loop: {error}"),
                "raise the limit of open files with `ulimit -n`",
            )
        })?;
    let local = LocalSet::new();
    local.block_on(&runtime, async {
        tokio::select! {
            outcome = carry_out(plan, broker, work, about) => outcome,
            _ = tokio::signal::ctrl_c() => Err(Failure::new("interrupted before the end", "nothing is reported")),
        }
    })
}

/// Refuses a run that read back something else than was acknowledged.
///
/// # Errors
/// If it did.
pub(crate) fn sound(report: &Report) -> Result<(), Failure> {
    if report.is_sound() {
        return Ok(());
    }
    Err(Failure::new(
        "what was read back is not what was acknowledged",
        "keep the data with --keep and run `leveret verify` on it",
    ))
}

async fn carry_out(
    mut plan: Plan,
    broker: &BrokerArgs,
    work: &WorkArgs,
    about: About,
) -> Result<Outcome, Failure> {
    let mut target = Target::open(broker, work, &plan).await?;
    // After the broker was started: it must not inherit this.
    let cores = target.is_own().then_some(broker.cores.get());
    if let Some(cores) = cores {
        cpus::pin(&cpus::apart(usize::from(cores)).1);
    }
    plan.partitions = target.partitions();
    let outcome = match plan.mode {
        Mode::Produce => produce(&plan, &target).await,
        Mode::Consume => consume(&plan, &target).await,
        Mode::EndToEnd => end_to_end(&plan, &target).await,
    };
    let (measured, faults) = outcome.map_err(|failure| target.explain(failure))?;
    let cores = Cores {
        started: cores,
        used: target.session.cores_used(),
    };
    target.close().await?;
    Ok(Outcome {
        report: Report::new(&plan, &measured, faults, cores, about),
        latencies: measured.latencies,
    })
}

async fn produce(plan: &Plan, target: &Target) -> Result<(Measured, Option<Faults>), Failure> {
    let recorder = Recorder::new(plan.warmup, target.pid());
    let before = consume::what_comes(target).await?;
    let sent = with_progress(
        &recorder,
        "sent",
        produce::send(plan, target, &recorder, true),
    )
    .await?;
    let measured = recorder.measured();
    if !plan.verify {
        return Ok((measured, None));
    }
    let recorder = Recorder::new(Duration::ZERO, target.pid());
    let tally = Rc::default();
    let ranges = consume::until_now(target, before).await?;
    let reading = consume::read(target, ranges, 1, Clock::RoundTrip, &recorder, &tally);
    with_progress(&recorder, "read back", reading).await?;
    let faults = tally.borrow().faults(&sent.acknowledged);
    Ok((measured, Some(faults)))
}

async fn consume(plan: &Plan, target: &Target) -> Result<(Measured, Option<Faults>), Failure> {
    let filling = Recorder::new(Duration::ZERO, target.pid());
    let before = consume::what_comes(target).await?;
    let sent = with_progress(
        &filling,
        "filled",
        produce::send(&plan.filling(), target, &filling, true),
    )
    .await?;
    let recorder = Recorder::new(plan.warmup, target.pid());
    let tally = Rc::default();
    let ranges = consume::until_now(target, before).await?;
    let reading = consume::read(
        target,
        ranges,
        plan.connections,
        Clock::RoundTrip,
        &recorder,
        &tally,
    );
    with_progress(&recorder, "read", reading).await?;
    let faults = tally.borrow().faults(&sent.acknowledged);
    Ok((recorder.measured(), Some(faults)))
}

async fn end_to_end(plan: &Plan, target: &Target) -> Result<(Measured, Option<Faults>), Failure> {
    let ranges = consume::what_comes(target).await?;
    let recorder = Recorder::new(plan.warmup, target.pid());
    let tally: Rc<RefCell<Tally>> = Rc::default();
    let reading = consume::read(target, ranges, 1, Clock::Intended, &recorder, &tally);
    let sending = async {
        let sent = produce::send(plan, target, &recorder, false).await?;
        wait_for_reader(&sent, &tally).await;
        Ok(sent)
    };
    let both = async {
        tokio::select! {
            sent = sending => sent,
            failed = reading => Err(failed.err().unwrap_or_else(|| {
                Failure::new("the reader ended before the sender", "this is a fault of leveret-loadgen: please report it")
            })),
        }
    };
    let sent = with_progress(&recorder, "delivered", both).await?;
    let faults = tally.borrow().faults(&sent.acknowledged);
    Ok((recorder.measured(), Some(faults)))
}

async fn wait_for_reader(sent: &Sent, tally: &RefCell<Tally>) {
    let begin = Instant::now();
    while tally.borrow().distinct() < sent.total() && begin.elapsed() < LAG {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Does `work` with a line of progress a second beside it.
async fn with_progress<T>(
    recorder: &Rc<Recorder>,
    what: &'static str,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::select! {
        outcome = work => outcome,
        () = Rc::clone(recorder).report_progress(what) => unreachable!("progress has no end"),
    }
}
