//! Long work that Ctrl-C ends and that says how far it is.

use std::io;
use std::panic::resume_unwind;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use pyo3::prelude::*;
use ritual_artifacts_core::{CancelToken, Progress};

use crate::convert::ProgressCallback;

/// Short enough for Ctrl-C to feel immediate, and long enough to cost nothing.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Run `work` on a thread of its own, without the GIL, and return what it returns.
///
/// The calling thread meanwhile looks for signals, which Python delivers nowhere else, and tells
/// `callback` the bytes read since its last call; their sum is all that was read. If a signal
/// handler or the callback raises, the work is cancelled, waited for, and that error returned.
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
        // Leaving the scope waits for the worker, on every path.
        thread::scope(|scope| {
            let (sender, receiver) = mpsc::sync_channel(1);
            let worker = thread::Builder::new().spawn_scoped(scope, move || {
                // Nobody receives after an error; the result is then of no interest.
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
                        Ok(()) => unreachable!("a worker that ends has sent its result"),
                    },
                }
            }
        })
    })
}
