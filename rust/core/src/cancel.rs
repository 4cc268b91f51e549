//! Stopping work that runs on other threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};

/// A flag that one thread sets and the workers look at before every read.
///
/// Clones share the flag. Once set it stays set: a token belongs to one call.
#[derive(Clone, Debug, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// A token that is not cancelled.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ask the workers to stop; they do so after the read or write that they are in.
    pub fn cancel(&self) {
        // Relaxed: the flag guards no other memory.
        self.0.store(true, Ordering::Relaxed);
    }

    /// Where `stop` is set, cancel the rest of the call when `result` is an error.
    pub(crate) fn cancel_after<T>(&self, stop: bool, result: Result<T>) -> Result<T> {
        if stop && result.is_err() {
            self.cancel();
        }
        result
    }

    /// `Err(Error::Cancelled)` once [`cancel`](Self::cancel) was called, to be used with `?`.
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
