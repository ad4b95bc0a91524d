//! A long answer that is made once for all who wait for it, and is never older than their question.

use hyper::body::Bytes;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// The answer that was made last.
#[derive(Default)]
pub(super) struct Fresh(Mutex<Option<Made>>);

struct Made {
    began: Instant,
    outcome: Result<Bytes, String>,
}

impl Fresh {
    /// An answer whose making has begun after this call, by `make` or by somebody else.
    ///
    /// # Errors
    /// Why there is none, also that of somebody else: each would have to wait for it again.
    pub(super) async fn get(
        &self,
        make: impl Future<Output = Result<String, String>>,
    ) -> Result<Bytes, String> {
        let asked = Instant::now();
        let mut last = self.0.lock().await;
        if let Some(made) = &*last
            && made.began >= asked
        {
            return made.outcome.clone();
        }
        let began = Instant::now();
        let outcome = make.await.map(Bytes::from);
        *last = Some(Made {
            began,
            outcome: outcome.clone(),
        });
        outcome
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn many_at_a_time_are_given_the_same_and_the_next_one_another() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        runtime.unwrap().block_on(async {
            let (fresh, made) = (Fresh::default(), Cell::new(0));
            let make = || async {
                made.set(made.get() + 1);
                tokio::task::yield_now().await;
                Ok(made.get().to_string())
            };
            let ask = || fresh.get(make());
            let (first, second, third) = tokio::join!(ask(), ask(), ask());
            assert_eq!(
                first.unwrap(),
                "1",
                "it was being made when the others asked"
            );
            assert_eq!((second.unwrap(), third.unwrap()), ("2".into(), "2".into()));
            assert_eq!(ask().await.unwrap(), "3", "never older than the question");
            let failed = fresh.get(async { Err("no".to_owned()) }).await;
            assert_eq!(failed.unwrap_err(), "no");
        });
    }
}
