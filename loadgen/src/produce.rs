//! The sending side: closed loop (so many batches in flight) or open loop (a rate, whatever the
//! broker does). It sends each batch once: what fails ends the run.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use leveret_client::PartitionId;
use tokio::task::JoinSet;

use crate::alarm::Alarm;
use crate::failure::Failure;
use crate::payload::{BatchMaker, StreamId};
use crate::plan::Plan;
use crate::protocol::Connection;
use crate::recorder::Recorder;
use crate::target::Target;

/// What was sent and acknowledged.
#[derive(Debug)]
pub(crate) struct Sent {
    /// For each stream, how many messages.
    pub(crate) acknowledged: Vec<u64>,
}

impl Sent {
    /// Messages of all streams.
    pub(crate) fn total(&self) -> u64 {
        self.acknowledged.iter().sum()
    }
}

/// Everything that the tasks of one sending side share.
struct Sender {
    plan: Plan,
    recorder: Rc<Recorder>,
    /// Messages that were given out to be sent.
    given_out: Cell<u64>,
    /// By stream.
    acknowledged: RefCell<Vec<u64>>,
    /// When an acknowledgement counts: as it comes, or (e2e) not here but where it is read.
    count_acknowledgements: bool,
}

/// One connection: its streams take turns.
struct Lane {
    connection: Connection,
    number: u16,
    state: RefCell<LaneState>,
}

struct LaneState {
    maker: BatchMaker,
    streams: Vec<StreamState>,
    turn: usize,
}

struct StreamState {
    id: StreamId,
    partition: PartitionId,
    next: u64,
}

/// One batch on its way.
struct Batch {
    stream: StreamId,
    partition: PartitionId,
    count: u32,
    intended: Instant,
    bytes: Bytes,
}

/// Sends what the plan says, on the calling thread's `LocalSet`.
///
/// # Errors
/// The first batch that failed.
pub(crate) async fn send(
    plan: &Plan,
    target: &Target,
    recorder: &Rc<Recorder>,
    count_acknowledgements: bool,
) -> Result<Sent, Failure> {
    let streams = divide(plan.connections, plan.partitions);
    let total = streams.iter().map(Vec::len).sum();
    let sender = Rc::new(Sender {
        plan: plan.clone(),
        recorder: Rc::clone(recorder),
        given_out: Cell::new(0),
        acknowledged: RefCell::new(vec![0; total]),
        count_acknowledgements,
    });
    let mut tasks = JoinSet::new();
    for (number, own) in (0..).zip(streams) {
        let lane = Rc::new(Lane {
            connection: target.connect(own.iter().map(|s| s.partition)).await?,
            number,
            state: RefCell::new(LaneState {
                maker: BatchMaker::new(plan.size, u64::from(number) + 1, recorder.start),
                streams: own,
                turn: 0,
            }),
        });
        if plan.rate.is_some() {
            tasks.spawn_local(Rc::clone(&sender).open_loop(lane));
        } else {
            for _ in 0..plan.in_flight {
                tasks.spawn_local(Rc::clone(&sender).closed_loop(Rc::clone(&lane)));
            }
        }
    }
    while let Some(ended) = tasks.join_next().await {
        ended.expect("a sending task does not panic")?;
    }
    let acknowledged = sender.acknowledged.take();
    Ok(Sent { acknowledged })
}

/// Which connection sends to which partitions: every partition has a connection and every
/// connection a partition. One stream each; so a stream's messages keep their order.
fn divide(connections: u16, partitions: u16) -> Vec<Vec<StreamState>> {
    let pairs = connections.max(partitions);
    let mut lanes: Vec<Vec<StreamState>> = (0..connections).map(|_| Vec::new()).collect();
    for pair in 0..pairs {
        lanes[usize::from(pair % connections)].push(StreamState {
            id: StreamId(pair),
            partition: PartitionId(u32::from(pair % partitions)),
            next: 0,
        });
    }
    lanes
}

impl Sender {
    async fn closed_loop(self: Rc<Self>, lane: Rc<Lane>) -> Result<(), Failure> {
        while let Some(count) = self.take() {
            let batch = lane.batch(count, Instant::now())?;
            self.deliver(&lane, batch).await?;
        }
        Ok(())
    }

    /// Batches leave at fixed times, whatever became of those before.
    async fn open_loop(self: Rc<Self>, lane: Rc<Lane>) -> Result<(), Failure> {
        let rate = self.plan.rate.expect("an open loop has a rate") as f64;
        let lanes = u64::from(self.plan.connections);
        let alarm = Alarm::new().map_err(no_timer)?;
        let mut on_their_way = JoinSet::new();
        for place in (u64::from(lane.number)..).step_by(lanes as usize) {
            let messages_before = place as f64 * f64::from(self.plan.batch);
            let due = self.recorder.start + Duration::from_secs_f64(messages_before / rate);
            alarm.sleep_until(due).await.map_err(no_timer)?;
            let Some(count) = self.take() else { break };
            let batch = lane.batch(count, due)?;
            let (sender, lane) = (Rc::clone(&self), Rc::clone(&lane));
            on_their_way.spawn_local(async move { sender.deliver(&lane, batch).await });
            while let Some(ended) = on_their_way.try_join_next() {
                ended.expect("a delivery does not panic")?;
            }
        }
        while let Some(ended) = on_their_way.join_next().await {
            ended.expect("a delivery does not panic")?;
        }
        Ok(())
    }

    /// How many messages to send next; `None` when the plan is fulfilled.
    fn take(&self) -> Option<u32> {
        if self
            .plan
            .duration
            .is_some_and(|limit| self.recorder.start.elapsed() >= limit)
        {
            return None;
        }
        let before = self.given_out.get();
        let left = self.plan.messages.map_or(u64::MAX, |all| all - before);
        let count = u64::from(self.plan.batch).min(left);
        self.given_out.set(before + count);
        u32::try_from(count).ok().filter(|count| *count > 0)
    }

    async fn deliver(&self, lane: &Lane, batch: Batch) -> Result<(), Failure> {
        lane.connection
            .produce(batch.partition, batch.bytes)
            .await?;
        let count = u64::from(batch.count);
        self.acknowledged.borrow_mut()[usize::from(batch.stream.0)] += count;
        if self.count_acknowledgements {
            self.recorder.arrived(batch.intended, count);
        }
        Ok(())
    }
}

impl Lane {
    fn batch(&self, count: u32, intended: Instant) -> Result<Batch, Failure> {
        let state = &mut *self.state.borrow_mut();
        let turn = state.turn;
        state.turn = (turn + 1) % state.streams.len();
        let stream = &mut state.streams[turn];
        let bytes = state.maker.make(stream.id, stream.next, count, intended)?;
        stream.next += u64::from(count);
        Ok(Batch {
            stream: stream.id,
            partition: stream.partition,
            count,
            intended,
            bytes,
        })
    }
}

fn no_timer(error: std::io::Error) -> Failure {
    Failure::new(
        format!("cannot make a timer: {error}"),
        "raise the limit of open files with `ulimit -n`",
    )
}

#[cfg(test)]
mod tests {
    use super::divide;

    #[test]
    fn every_partition_has_a_connection_and_every_connection_a_partition() {
        for (connections, partitions) in [(1, 1), (1, 8), (8, 1), (3, 8), (8, 3)] {
            let lanes = divide(connections, partitions);
            assert!(lanes.iter().all(|lane| !lane.is_empty()));
            let mut reached: Vec<_> = lanes.iter().flatten().map(|s| s.partition.0).collect();
            reached.sort_unstable();
            reached.dedup();
            assert_eq!(reached.len(), usize::from(partitions));
            let mut ids: Vec<_> = lanes.iter().flatten().map(|s| s.id.0).collect();
            ids.sort_unstable();
            assert!(
                ids.iter()
                    .enumerate()
                    .all(|(place, id)| place == usize::from(*id))
            );
        }
    }
}
