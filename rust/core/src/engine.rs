//! Hashes many messages and keeps all lanes and cores busy.
//!
//! A worker keeps several messages open at once, one in each lane. It reads each into the lane's buffer and
//! advances all of them together; when a message ends, the next one takes its lane. A single lane is slow, so a
//! message that would outlast all the others is hashed alone, while another thread reads ahead.
//!
//! The engine knows messages and their side digests ([`SideDigest`]), but no storage.

mod alone;
mod files;
mod lane;
mod side_digest;
mod work;

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::cancel::CancelToken;
use crate::digest::Sha256Digest;
use crate::error::Result;
use crate::sha256::{BLOCK, Plan, compress};

pub(crate) use files::run_on_files;
use lane::{Lane, Open};
pub(crate) use side_digest::{PART_BORDER, SideDigest};
use work::{Task, Work};

/// Bytes between the buffers of two lanes, so that equal offsets do not compete for the same cache lines.
const LANE_SPACING: usize = 4 * BLOCK;

/// Maximum number of workers per core, whatever the caller allows: more would only take memory.
const MAX_WORKERS_PER_CORE: usize = 4;

/// Something to hash, from its first byte to its last.
pub(crate) trait Message: Send {
    /// The result.
    type Output: Send;

    /// Fill `buffer` with the next bytes; with fewer only at the end of the message.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize>;

    /// The side digest to compute from the same read, if any. The engine feeds it.
    fn side_digest(&mut self) -> Option<&mut dyn SideDigest> {
        None
    }

    /// Turn the SHA-256 of the whole message into the result.
    fn finish(self, sha256: Sha256Digest) -> Result<Self::Output>;
}

/// How [`run`] works.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// Maximum number of workers; one per core if `None`.
    pub(crate) max_workers: Option<NonZeroUsize>,
    /// Bytes that a worker reads before it hashes them, in all its lanes together.
    pub(crate) read_size: usize,
    /// Whether the first error cancels the other messages.
    pub(crate) stop_at_error: bool,
}

impl Limits {
    fn workers(self) -> usize {
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        self.max_workers.map_or(cores, |most| most.get().min(MAX_WORKERS_PER_CORE * cores))
    }
}

/// Hash messages of about these sizes, and return one result per message, in order.
pub(crate) fn run<M: Message>(
    sizes: &[u64],
    limits: Limits,
    cancel: &CancelToken,
    open: impl Fn(usize) -> Result<M> + Sync,
) -> Vec<Result<M::Output>> {
    let workers = limits.workers().min(sizes.len());
    let work = Work::divide(sizes, workers, Plan::current);
    let engine = Engine {
        limits,
        cancel,
        open,
        lanes: work.lanes,
        work: Mutex::new(work),
        reads_ahead: limits.workers() > 1,
    };

    let mut finished = thread::scope(|scope| {
        // The calling thread works too, so the work only slows down if no thread can be started.
        let spawned: Vec<_> = (1..workers)
            .map_while(|_| thread::Builder::new().spawn_scoped(scope, || engine.work()).ok())
            .collect();
        let mut finished = engine.work();
        for thread in spawned {
            finished.extend(thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        finished
    });
    finished.sort_unstable_by_key(|&(index, _)| index);
    finished.into_iter().map(|(_, result)| result).collect()
}

struct Engine<'a, F> {
    limits: Limits,
    cancel: &'a CancelToken,
    open: F,
    lanes: usize,
    work: Mutex<Work>,
    reads_ahead: bool,
}

impl<M: Message, F: Fn(usize) -> Result<M> + Sync> Engine<'_, F> {
    fn work(&self) -> Vec<(usize, Result<M::Output>)> {
        let mut finished = Vec::new();
        loop {
            let task = self.lock().take();
            match task {
                Some(Task::Alone { index, size }) => {
                    finished.push((index, self.judge(self.hash_alone(index, size))));
                }
                Some(Task::SideBySide(hand)) => self.hash_side_by_side(hand, &mut finished),
                None => return finished,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Work> {
        // A worker that panics leaves the work consistent.
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn judge<T>(&self, result: Result<T>) -> Result<T> {
        self.cancel.cancel_after(self.limits.stop_at_error, result)
    }

    fn hash_alone(&self, index: usize, size: u64) -> Result<M::Output> {
        let piece = self.limits.read_size;
        if self.reads_ahead
            && size > piece as u64
            && let Some(result) = alone::hash_reading_ahead((self.open)(index)?, piece)
        {
            return result;
        }
        alone::hash((self.open)(index)?, piece)
    }

    fn hash_side_by_side(
        &self,
        mut hand: VecDeque<usize>,
        finished: &mut Vec<(usize, Result<M::Output>)>,
    ) {
        let lane_size = lane_size(self.limits.read_size / self.lanes);
        let stride = lane_size + lane::PADDING_ROOM + LANE_SPACING;
        let mut memory = vec![0; stride * self.lanes + BLOCK];
        let aligned = memory.as_ptr().align_offset(BLOCK).min(BLOCK);
        let mut lanes: Vec<Lane<'_, M>> = memory[aligned..]
            .chunks_exact_mut(stride)
            .map(|buffer| Lane { buffer: &mut buffer[..stride - LANE_SPACING], open: None })
            .collect();
        loop {
            for lane in &mut lanes {
                self.refill(lane, &mut hand, finished);
            }
            let Some(length) = lanes.iter().filter_map(Lane::pending).min() else { return };
            let mut streams: Vec<_> =
                lanes.iter_mut().flat_map(|lane| lane.next(length)).flatten().collect();
            compress(&mut streams);
            lanes.iter_mut().for_each(Lane::settle);
        }
    }

    /// Give the lane blocks to hash, unless no message is left.
    fn refill(
        &self,
        lane: &mut Lane<'_, M>,
        hand: &mut VecDeque<usize>,
        finished: &mut Vec<(usize, Result<M::Output>)>,
    ) {
        loop {
            let Some(open) = &mut lane.open else {
                let Some(index) = hand.pop_front().or_else(|| self.lock().rest.pop_front()) else {
                    return;
                };
                match (self.open)(index) {
                    Ok(message) => lane.open = Some(Open::new(index, message)),
                    Err(error) => finished.push((index, self.judge(Err(error)))),
                }
                continue;
            };
            if open.pending() > 0 {
                return;
            }
            if open.is_over() {
                if let Some(open) = lane.open.take() {
                    finished.push((open.index, self.judge(open.finish())));
                }
            } else if let Err(error) = open.read(lane.buffer) {
                finished.push((open.index, self.judge(Err(error))));
                lane.open = None;
            }
        }
    }
}

/// Bytes that a lane reads at once, about `share`. A read of less than [`PART_BORDER`] bytes crosses no border
/// of a side digest, so the blocks of a part can always be hashed beside others.
fn lane_size(share: usize) -> usize {
    if share >= PART_BORDER {
        return share - share % PART_BORDER;
    }
    const { assert!(PART_BORDER.is_power_of_two()) };
    let log = share.max(BLOCK).ilog2();
    1 << log
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_fall_on_the_borders_of_side_digests() {
        for share in [1, 63, 64, 349_525, 65_536, 1 << 20, (1 << 20) + 1] {
            let size = lane_size(share);
            let fits = PART_BORDER.is_multiple_of(size) || size.is_multiple_of(PART_BORDER);
            assert!(size.is_multiple_of(BLOCK) && fits, "{share}: {size}");
            assert!(size <= share.max(BLOCK), "{share}: {size}");
        }
    }

    #[test]
    fn the_number_of_workers_is_limited_by_the_number_of_cores() {
        let workers = |most| {
            let max_workers = NonZeroUsize::new(most);
            Limits { max_workers, read_size: 1, stop_at_error: false }.workers()
        };

        assert_eq!(workers(1), 1);
        assert!(workers(1_000_000) < 100_000);
    }
}
