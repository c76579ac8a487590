//! The agent's state as JSON, for whoever looks for a bug.

use std::sync::{Arc, PoisonError, RwLock};

use serde::Serialize;

/// What can be shown, whatever it is.
trait Show: Send + Sync {
    fn json(&self) -> serde_json::Result<Vec<u8>>;
}

impl<T: Serialize + Send + Sync> Show for T {
    fn json(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec_pretty(self)
    }
}

/// The state that is shown at the moment. It is written out only when somebody asks.
#[derive(Clone, Default)]
pub struct Snapshot(Arc<RwLock<Option<Arc<dyn Show>>>>);

impl Snapshot {
    /// Shows this from now on.
    pub fn set<T: Serialize + Send + Sync + 'static>(&self, state: Arc<T>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(state);
    }

    /// As JSON; `null` where there is nothing yet.
    pub fn json(&self) -> serde_json::Result<Vec<u8>> {
        let shown = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        shown.map_or_else(|| Ok(b"null".to_vec()), |state| state.json())
    }
}
