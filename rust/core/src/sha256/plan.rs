//! Chooses the kernels for a number of streams.
//!
//! Processors differ too much for a fixed table: one runs sixteen AVX-512 lanes in the time of four SHA-NI streams,
//! another in the time of sixteen. So each kernel is timed once, in a fraction of a millisecond.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::kernels::{BLOCK, INITIAL_STATE, Kernel, Stream};

/// Maximum number of streams that any kernel takes.
const MAX_STREAMS: usize = 32;

const DISABLE_VARIABLE: &str = "RITUAL_DISABLE_KERNELS";

/// More lanes have to lower the cost to less than this fraction, or they are not worth their memory.
const WORTHWHILE: f64 = 0.97;

/// The kernels that the processor supports and the environment allows; determined once per process.
///
/// `RITUAL_DISABLE_KERNELS` lists kernels that must not be used, separated by spaces or commas.
/// [`Kernel::Single`] is always available.
#[must_use]
pub fn allowed_kernels() -> &'static [Kernel] {
    static ALLOWED: OnceLock<Vec<Kernel>> = OnceLock::new();
    ALLOWED.get_or_init(|| {
        let disabled = std::env::var(DISABLE_VARIABLE).unwrap_or_default();
        let disabled: Vec<&str> = disabled.split([' ', ',']).collect();
        Kernel::ALL
            .into_iter()
            .filter(|&kernel| {
                kernel == Kernel::Single
                    || (kernel.is_available() && !disabled.contains(&kernel.name()))
            })
            .collect()
    })
}

/// The kernel for a single message.
pub(super) fn fastest_single() -> Kernel {
    let allowed = allowed_kernels();
    // All kernels with SHA-256 instructions are limited in the same way.
    [Kernel::ShaNi, Kernel::Sha2Neon]
        .into_iter()
        .find(|kernel| allowed.contains(kernel))
        .unwrap_or(Kernel::Single)
}

/// For each number of streams, the kernel that runs first and how many streams it takes.
#[derive(Debug, PartialEq)]
pub(crate) struct Plan {
    steps: [(Kernel, usize); MAX_STREAMS + 1],
    costs: [f64; MAX_STREAMS + 1],
}

impl Plan {
    /// The plan for this processor.
    pub(crate) fn current() -> &'static Self {
        static CURRENT: OnceLock<Plan> = OnceLock::new();
        CURRENT.get_or_init(|| {
            let mut options = Vec::new();
            for &kernel in allowed_kernels() {
                options.extend(
                    kernel.useful_counts().map(|count| (kernel, count, time(kernel, count))),
                );
            }
            Self::cheapest(&options)
        })
    }

    /// The cheapest combination, from the cost of each kernel for each number of streams.
    pub(crate) fn cheapest(options: &[(Kernel, usize, f64)]) -> Self {
        let mut plan = Self {
            steps: [(Kernel::Single, 1); MAX_STREAMS + 1],
            costs: [f64::INFINITY; MAX_STREAMS + 1],
        };
        plan.costs[0] = 0.0;
        for streams in 1..=MAX_STREAMS {
            for &(kernel, count, cost) in options {
                let taken = count.min(streams);
                let total = cost + plan.costs[streams - taken];
                if total < plan.costs[streams] {
                    (plan.steps[streams], plan.costs[streams]) = ((kernel, taken), total);
                }
            }
        }
        plan
    }

    pub(super) fn compress(&self, streams: &mut [Stream<'_>]) {
        let mut left = streams;
        while !left.is_empty() {
            let (kernel, count) = self.steps[left.len().min(MAX_STREAMS)];
            let (now, later) = left.split_at_mut(count);
            kernel.compress(now);
            left = later;
        }
    }

    /// The cost per byte with this many streams side by side, relative to a single stream.
    pub(crate) fn relative_cost(&self, streams: usize) -> f64 {
        let streams = streams.clamp(1, MAX_STREAMS);
        #[expect(clippy::cast_precision_loss, reason = "at most 32")]
        let each = self.costs[streams] / streams as f64;
        each / self.costs[1]
    }

    /// The number of streams side by side beyond which more are not worth it.
    pub(crate) fn lanes(&self) -> usize {
        let best = (1..=MAX_STREAMS).map(|k| self.relative_cost(k)).fold(f64::INFINITY, f64::min);
        (1..=MAX_STREAMS).find(|&k| self.relative_cost(k) * WORTHWHILE <= best).unwrap_or(1)
    }
}

/// Time a kernel on this many streams. The shortest of several runs counts, because disturbances only add time.
fn time(kernel: Kernel, count: usize) -> f64 {
    const RUNS: usize = 6;
    const SHORTEST: f64 = 1e-9; // in seconds; a coarse clock may return 0
    let data = [0; 32 * BLOCK];
    let mut states = [INITIAL_STATE; MAX_STREAMS];
    let mut run = || {
        let mut streams: Vec<_> =
            states[..count].iter_mut().map(|state| Stream { state, data: &data }).collect();
        let start = Instant::now();
        kernel.compress(&mut streams);
        start.elapsed()
    };
    (0..RUNS).map(|_| run()).min().unwrap_or(Duration::MAX).as_secs_f64().max(SHORTEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cheapest_kernels_are_combined() {
        let plan = Plan::cheapest(&[
            (Kernel::Single, 1, 10.0),
            (Kernel::ShaNi, 3, 12.0),
            (Kernel::Avx512, 16, 40.0),
        ]);

        let step = |streams: usize| plan.steps[streams];
        assert_eq!(step(1), (Kernel::Single, 1));
        assert_eq!(step(2), (Kernel::ShaNi, 2));
        assert_eq!(step(6).1, 3);
        assert_eq!(step(9).0, Kernel::ShaNi);
        assert_eq!(step(10), (Kernel::Avx512, 10));
        assert_eq!(step(16), (Kernel::Avx512, 16));
        assert_eq!(plan.lanes(), 16);
    }

    #[test]
    fn a_processor_without_vector_instructions_has_one_lane() {
        let plan = Plan::cheapest(&[(Kernel::Single, 1, 10.0)]);

        assert_eq!(plan.lanes(), 1);
        assert!((plan.relative_cost(32) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn every_number_of_streams_has_a_step_that_the_kernel_can_take() {
        let plan = Plan::current();

        for streams in 1..=MAX_STREAMS {
            let (kernel, count) = plan.steps[streams];
            assert!(kernel.is_available() && (1..=kernel.lanes().min(streams)).contains(&count));
        }
        assert!((1..=MAX_STREAMS).contains(&plan.lanes()));
    }
}
