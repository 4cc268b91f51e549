//! Cancels work that runs on other threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};

/// A flag that one thread sets and the workers check before every read.
///
/// Clones share the flag. It cannot be reset: use a new token for each call.
#[derive(Clone, Debug, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// A token that is not cancelled.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Stop the workers after the read or write in progress.
    pub fn cancel(&self) {
        // Relaxed: the flag guards no other memory.
        self.0.store(true, Ordering::Relaxed);
    }

    /// If `stop` is set and `result` is an error, cancel the rest of the call.
    pub(crate) fn cancel_after<T>(&self, stop: bool, result: Result<T>) -> Result<T> {
        if stop && result.is_err() {
            self.cancel();
        }
        result
    }

    /// Return [`Error::Cancelled`] once [`cancel`](Self::cancel) was called.
    pub(crate) fn check(&self) -> Result<()> {
        if self.0.load(Ordering::Relaxed) { Err(Error::Cancelled) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_is_cancelled_with_its_original() {
        let token = CancelToken::new();
        let clone = token.clone();
        assert!(clone.check().is_ok());

        token.cancel();

        assert!(matches!(clone.check(), Err(Error::Cancelled)));
    }
}
