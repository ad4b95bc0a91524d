//! The broker's side of subscriptions: credit, cursors, pushes.

use std::sync::Mutex;

use bytes::{BufMut, BytesMut};
use leveret_client::core::Frame;
use leveret_wire::native::*;

use super::State;

/// The subscriptions of one connection.
#[derive(Default)]
pub(super) struct Subscriptions {
    open: Vec<Open>,
}

struct Open {
    correlation: CorrelationId,
    credit: i64,
    cursors: Vec<Option<SubscribePartition>>,
    turn: usize,
}

impl Subscriptions {
    /// Takes a frame that is about a subscription. Whether it was.
    pub(super) fn take(
        &mut self,
        frame: &Frame,
        encoder: &mut Encoder,
        out: &mut BytesMut,
    ) -> bool {
        let correlation = frame.correlation;
        let open = self
            .open
            .iter()
            .position(|open| open.correlation == correlation);
        match Request::decode(frame.kind, &frame.header).unwrap() {
            Request::Subscribe(subscribe) => {
                assert!(open.is_none(), "correlations are not used twice");
                assert!(self.open.len() < MAX_SUBSCRIPTIONS);
                self.open.push(Open {
                    correlation,
                    credit: subscribe.credit as i64,
                    cursors: subscribe.partitions.iter().map(Some).collect(),
                    turn: 0,
                });
                encoder.response(out, correlation, &Response::Subscribed, 0);
            }
            Request::Credit(bytes) => {
                if let Some(open) = open {
                    self.open[open].credit += bytes as i64;
                    assert!(self.open[open].credit <= MAX_CREDIT as i64);
                }
            }
            Request::Unsubscribe => {
                if let Some(open) = open {
                    self.open.remove(open);
                    encoder.response(out, correlation, &Response::Unsubscribed, 0);
                }
            }
            _ => return false,
        }
        true
    }

    /// Pushes what there is and credit allows. Whether the connection goes on.
    pub(super) fn push(
        &mut self,
        state: &Mutex<State>,
        encoder: &mut Encoder,
        out: &mut BytesMut,
    ) -> bool {
        let mut state = state.lock().unwrap();
        for open in &mut self.open {
            let mut idle = 0;
            while open.credit > 0 && idle < open.cursors.len() {
                let index = open.turn % open.cursors.len();
                open.turn += 1;
                match push_one(&mut state, open, index, encoder, out) {
                    true => idle = 0,
                    false => idle += 1,
                }
                let cut = state.faults.cut_pushes;
                if idle == 0 && cut > 0 && state.pushes.is_multiple_of(cut) {
                    return false;
                }
            }
        }
        true
    }
}

/// Pushes one partition's next batches, or its end. Whether there was anything.
fn push_one(
    state: &mut State,
    open: &mut Open,
    index: usize,
    encoder: &mut Encoder,
    out: &mut BytesMut,
) -> bool {
    let Some(cursor) = &mut open.cursors[index] else {
        return false;
    };
    let log = &state.partitions[&(cursor.topic_id, cursor.partition)];
    let mut push = Push {
        index: index as u32,
        error: None,
        high_watermark: Offset(log.end),
        log_start_offset: Offset(log.start),
    };
    if cursor.offset.0 < log.start || cursor.offset.0 > log.end {
        push.error = Some(ErrorCode::OffsetOutOfRange);
        open.cursors[index] = None;
        encoder.response(out, open.correlation, &Response::Push(push), 0);
        return true;
    }
    let most = (cursor.max_bytes as usize).min(open.credit as usize);
    let mut payload = BytesMut::new();
    for (_, next, batch) in &log.batches {
        if *next <= cursor.offset.0 {
            continue;
        }
        if !payload.is_empty() && payload.len() + batch.len() > most {
            break;
        }
        payload.extend_from_slice(batch);
        cursor.offset = Offset(*next);
    }
    if payload.is_empty() {
        return false;
    }
    open.credit -= payload.len() as i64;
    state.pushes += 1;
    state.pushed_bytes += payload.len();
    let response = Response::Push(push);
    encoder.response(out, open.correlation, &response, payload.len());
    out.put(payload);
    true
}
