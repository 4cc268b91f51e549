//! Hashes files as messages.

use std::panic::resume_unwind;
use std::path::Path;
use std::thread;

use super::{Limits, Message, run};
use crate::cancel::CancelToken;
use crate::error::Result;
use crate::source::{Source, look};

/// Minimum number of files per thread when sizes are looked up; for fewer, starting a thread takes longer.
const MIN_LOOKS: usize = 500;

/// Hash the message that `start` makes of each file, and return one result per file, in the order of `paths`.
pub(crate) fn run_on_files<P: AsRef<Path> + Sync, M: Message>(
    paths: &[P],
    follow_symlinks: bool,
    limits: Limits,
    cancel: &CancelToken,
    start: impl Fn(usize, Source) -> Result<M> + Sync,
) -> Vec<Result<M::Output>> {
    let sizes = look_at_all(paths, follow_symlinks, limits.workers(), cancel);
    // A file without a size counts as empty; opening it returns the error.
    let known: Vec<_> = sizes.iter().map(|size| size.unwrap_or(0)).collect();
    run(&known, limits, cancel, |index| {
        cancel.check()?;
        let path = paths[index].as_ref();
        let open = if sizes[index].is_some() { Source::open_known } else { Source::open };
        start(index, open(path, follow_symlinks)?)
    })
}

/// The sizes of regular files; `None` for a path that cannot be hashed.
fn look_at_all<P: AsRef<Path> + Sync>(
    paths: &[P],
    follow_symlinks: bool,
    workers: usize,
    cancel: &CancelToken,
) -> Vec<Option<u64>> {
    let look_at_each = |paths: &[P]| -> Vec<_> {
        let look =
            |path: &P| cancel.check().and_then(|()| look(path.as_ref(), follow_symlinks)).ok();
        paths.iter().map(look).collect()
    };
    let share = paths.len().div_ceil(workers).max(MIN_LOOKS);
    thread::scope(|scope| {
        let mut shares = paths.chunks(share);
        let mine = shares.next().unwrap_or_default();
        let others: Vec<_> = shares
            .map(|share| {
                let look = move || look_at_each(share);
                (share, thread::Builder::new().spawn_scoped(scope, look))
            })
            .collect();
        let mut sizes = look_at_each(mine);
        for (share, thread) in others {
            sizes.extend(match thread {
                Ok(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
                Err(_) => look_at_each(share), // no thread could be started
            });
        }
        sizes
    })
}
