//! The agent's state as JSON, for whoever looks for a bug.
//!
//! It is written out by who has it, and only when somebody asks.

use std::{sync::Arc, time::Duration};

use serde::Serialize;
use tokio::{
    sync::{Mutex, mpsc, oneshot},
    time::timeout,
};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many may wait for one.
const QUEUE: usize = 4;

/// Where to ask, and where to be asked.
#[derive(Clone)]
pub struct Snapshot {
    ask: mpsc::Sender<Question>,
    asked: Arc<Mutex<mpsc::Receiver<Question>>>,
}

/// Somebody wants to know.
pub struct Question(oneshot::Sender<serde_json::Result<Vec<u8>>>);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody has answered.
    #[error("the part of the agent that knows does not answer; /livez says whether it hangs")]
    Silence,
    /// It could not be written out.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

impl Default for Snapshot {
    fn default() -> Self {
        let (ask, asked) = mpsc::channel(QUEUE);
        Self { ask, asked: Arc::new(Mutex::new(asked)) }
    }
}

impl Snapshot {
    /// Waits to be asked. Whoever stops waiting loses no question.
    pub async fn asked(&self) -> Question {
        let question = self.asked.lock().await.recv().await;
        // There is always one who can ask: this.
        match question {
            Some(question) => question,
            None => std::future::pending().await,
        }
    }

    /// The state as JSON.
    pub(super) async fn json(&self) -> Result<Vec<u8>, Error> {
        let (question, answer) = oneshot::channel();
        let answered = async {
            self.ask.send(Question(question)).await.ok()?;
            answer.await.ok()
        };
        Ok(timeout(PATIENCE, answered).await.ok().flatten().ok_or(Error::Silence)??)
    }
}

impl Question {
    /// This is the state.
    pub fn answer(self, state: &impl Serialize) {
        // Whoever asked may have gone.
        let _ = self.0.send(serde_json::to_vec_pretty(state));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_asks_is_answered_by_who_knows_or_told_that_nobody_does() {
        let snapshot = Snapshot::default();
        let (json, ()) = tokio::join!(snapshot.json(), async { snapshot.asked().await.answer(&[7]) });
        assert_eq!(json.unwrap(), b"[\n  7\n]");
        for _ in 0..2 * QUEUE {
            assert!(matches!(snapshot.json().await, Err(Error::Silence)));
        }
        // Those that nobody waits for any more are in nobody's way.
        let knows = async {
            loop {
                snapshot.asked().await.answer(&[8]);
            }
        };
        tokio::select! {
            json = snapshot.json() => assert_eq!(json.unwrap(), b"[\n  8\n]"),
            () = knows => {}
        }
    }
}
