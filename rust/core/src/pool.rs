//! Scheduling: which file is worked on when, and by whom.

use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{cmp, fs, iter, thread};

/// Run `job` once for each of `paths`, at most `max_workers` (default: one a core) at a time, and
/// return what it returned, in the order of `paths`.
///
/// The largest files start first: one that starts last would keep a single worker busy while the
/// others have run out of work. `new_worker` makes what a worker keeps between its jobs (a buffer).
pub(crate) fn run<P: AsRef<Path> + Sync, W, T: Send>(
    paths: &[P],
    max_workers: Option<NonZeroUsize>,
    new_worker: impl Fn() -> W + Sync,
    job: impl Fn(&mut W, usize) -> T + Sync,
) -> Vec<T> {
    let queue = largest_first(paths);
    let taken = AtomicUsize::new(0);
    let work = || {
        let mut worker = new_worker();
        iter::from_fn(|| queue.get(taken.fetch_add(1, Ordering::Relaxed)))
            .map(|&index| (index, job(&mut worker, index)))
            .collect::<Vec<_>>()
    };

    let mut finished = thread::scope(|scope| {
        // The calling thread works too, so a system that is out of threads slows the work down
        // and does not end it.
        let spawned: Vec<_> = (1..worker_count(max_workers, paths.len()))
            .map_while(|_| thread::Builder::new().spawn_scoped(scope, work).ok())
            .collect();
        let mut finished = work();
        for thread in spawned {
            finished.extend(thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        finished
    });
    finished.sort_unstable_by_key(|&(index, _)| index);
    finished.into_iter().map(|(_, result)| result).collect()
}

fn worker_count(max_workers: Option<NonZeroUsize>, jobs: usize) -> usize {
    max_workers
        .or_else(|| thread::available_parallelism().ok())
        .map_or(1, NonZeroUsize::get)
        .min(jobs)
}

/// The indices of `paths`. A file that cannot be looked at counts as empty: its job will say why.
fn largest_first<P: AsRef<Path>>(paths: &[P]) -> Vec<usize> {
    let mut indices: Vec<_> = (0..paths.len()).collect();
    indices.sort_by_cached_key(|&index| {
        cmp::Reverse(fs::metadata(&paths[index]).map_or(0, |metadata| metadata.len()))
    });
    indices
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn the_largest_file_starts_first() {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<_> = [3, 0, 9]
            .iter()
            .map(|&size| {
                let path = folder.path().join(size.to_string());
                fs::write(&path, vec![0; size]).unwrap();
                path
            })
            .collect();
        let started = Mutex::new(Vec::new());

        let results = run(
            &paths,
            NonZeroUsize::new(1),
            || (),
            |(), index| {
                started.lock().unwrap().push(index);
                index * 10
            },
        );

        assert_eq!(started.into_inner().unwrap(), [2, 0, 1]);
        assert_eq!(results, [0, 10, 20]);
    }

    #[test]
    fn every_job_runs_once_whatever_the_number_of_workers() {
        let paths = vec![PathBuf::from("there is no such file"); 100];

        for workers in [1, 2, 7, 200] {
            let results = run(&paths, NonZeroUsize::new(workers), || (), |(), index| index);
            assert_eq!(results, (0..100).collect::<Vec<_>>());
        }
    }

    #[test]
    fn no_paths_need_no_worker() {
        let none: [PathBuf; 0] = [];

        assert_eq!(run(&none, None, || (), |(), index| index), Vec::<usize>::new());
    }

    #[test]
    fn there_are_never_more_workers_than_jobs() {
        assert_eq!(worker_count(NonZeroUsize::new(8), 3), 3);
        assert_eq!(worker_count(NonZeroUsize::new(2), 3), 2);
        assert_eq!(worker_count(None, 1), 1);
    }
}
