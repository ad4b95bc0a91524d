//! A bootstrap that runs a list of disk operations one after the other and hands every core
//! nothing.

use std::sync::mpsc::Sender;

use leveret_broker::runtime::{BootSetup, Bootstrap, DmaBuf, DmaPool};
use leveret_storage::io::{Dir, IoError, IoResult, Op, OpId, Output};
use leveret_storage::types::Now;

/// Makes an operation when its turn comes, out of the pool.
pub(crate) type Step = Box<dyn FnOnce(&mut DmaPool) -> Op<DmaBuf> + Send>;

/// What became of a step: `Output` without its buffer type, or the error's words.
pub(crate) type Outcome = Result<Vec<u8>, IoError>;

pub(crate) struct Script {
    steps: std::vec::IntoIter<Step>,
    outcomes: Sender<Outcome>,
    pool: DmaPool,
    cores: u16,
    waiting: bool,
    failure: Option<String>,
}

impl Script {
    pub(crate) fn new(setup: BootSetup, steps: Vec<Step>, outcomes: Sender<Outcome>) -> Self {
        let journal: Step = Box::new(|_| Op::MakeDir(Dir::Journal));
        let steps: Vec<Step> = std::iter::once(journal).chain(steps).collect();
        let (pool, cores) = (setup.pool, setup.cores);
        let steps = steps.into_iter();
        Self {
            steps,
            outcomes,
            pool,
            cores,
            waiting: false,
            failure: None,
        }
    }

    /// Makes the bootstrap refuse at its end.
    pub(crate) fn failing(mut self, line: &str) -> Self {
        self.failure = Some(line.to_owned());
        self
    }
}

impl Bootstrap for Script {
    type Recovered = ();

    fn poll_op(&mut self) -> Option<(OpId, Op<DmaBuf>)> {
        if self.waiting {
            return None;
        }
        let step = self.steps.next()?;
        self.waiting = true;
        Some((OpId(0), step(&mut self.pool)))
    }

    fn handle_completion(&mut self, _: OpId, result: IoResult<DmaBuf>, _: Now) {
        self.waiting = false;
        let outcome = result.map(|output| match output {
            Output::Done => Vec::new(),
            Output::Read { buf, len } => buf.as_ref()[..len].to_vec(),
            Output::Names(mut names) => {
                names.sort();
                format!("{names:?}").into_bytes()
            }
            Output::Len(len) => format!("{len:?}").into_bytes(),
            Output::Free(bytes) => bytes.to_string().into_bytes(),
        });
        // The test may not be interested.
        let _closed = self.outcomes.send(outcome);
    }

    fn poll_finished(&mut self) -> Option<Result<Vec<()>, String>> {
        if self.waiting || self.steps.len() > 0 {
            return None;
        }
        Some(match self.failure.take() {
            Some(line) => Err(line),
            None => Ok(vec![(); usize::from(self.cores)]),
        })
    }
}
