//! Runs long work that reports progress and can be interrupted by Ctrl-C.

use std::io;
use std::panic::resume_unwind;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use pyo3::prelude::*;
use ritual_artifacts_core::{CancelToken, Progress};

use crate::convert::ProgressCallback;

/// Short enough for an immediate response to Ctrl-C, long enough to cost nothing.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Run `work` on a thread of its own, without the GIL, and return its result.
///
/// Meanwhile, the calling thread checks for signals, which Python delivers only there, and passes `callback` the
/// number of bytes read since its last call. If a signal handler or the callback raises, the work is cancelled and
/// waited for, and that error is returned.
pub(crate) fn run<T: Send>(
    py: Python<'_>,
    callback: Option<&ProgressCallback>,
    work: impl FnOnce(&Progress, &CancelToken) -> T + Send,
) -> PyResult<T> {
    let (progress, cancel) = (&Progress::new(), &CancelToken::new());
    let report = |py: Python<'_>| match (callback, progress.drain()) {
        (Some(callback), bytes @ 1..) => callback.call(py, bytes),
        _ => Ok(()),
    };

    py.detach(|| {
        // Leaving the scope always waits for the worker.
        thread::scope(|scope| {
            let (sender, receiver) = mpsc::sync_channel(1);
            let worker = thread::Builder::new().spawn_scoped(scope, move || {
                // After an error, the receiver is gone and the result is not needed.
                let _ = sender.send(work(progress, cancel));
            });
            let worker = worker.map_err(|error| {
                io::Error::new(error.kind(), format!("cannot start a thread: {error}"))
            })?;
            loop {
                match receiver.recv_timeout(POLL_INTERVAL) {
                    Ok(result) => return Python::attach(report).map(|()| result),
                    Err(RecvTimeoutError::Timeout) => {
                        Python::attach(|py| report(py).and_then(|()| py.check_signals()))
                            .inspect_err(|_| cancel.cancel())?;
                    }
                    Err(RecvTimeoutError::Disconnected) => match worker.join() {
                        Err(panic) => resume_unwind(panic),
                        Ok(()) => unreachable!("a worker sends its result before it ends"),
                    },
                }
            }
        })
    })
}
