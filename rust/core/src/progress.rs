//! Reports progress to another thread.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts the bytes read since the last report.
///
/// Workers add, one poller drains. The drained numbers add up to the number of bytes read.
#[derive(Debug, Default)]
pub struct Progress(AtomicU64);

impl Progress {
    /// A counter at zero.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Take the bytes counted since the last call.
    pub fn drain(&self) -> u64 {
        // Relaxed: the number guards no other memory, and joining a worker orders its last addition.
        self.0.swap(0, Ordering::Relaxed)
    }

    pub(crate) fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_is_drained_once() {
        let progress = Progress::new();
        progress.add(3);
        progress.add(4);

        assert_eq!(progress.drain(), 7);
        assert_eq!(progress.drain(), 0);
    }
}
