//! Every kernel and number of streams, on data in cache, in bytes per cycle of the core.
//!
//!     cargo bench --package ritual-artifacts-core
//!
//! Clocks drift, and on a shared machine by far more than kernels differ. So a sample is short, it is counted in
//! cycles as long as a chain of dependent multiplications beside it takes for its own, all cases take turns, and
//! the median stands. That is why this is no bench of `criterion` or `divan`, which report means of wall time.

use std::hint::black_box;
use std::time::{Duration, Instant};

use ritual_artifacts_core::sha256::{BLOCK, INITIAL_STATE, Kernel, State, Stream, compress};

const ROUNDS: usize = 400;

const COUNTS: [usize; 12] = [1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 24, 32];

/// Bytes of a stream; as many as fit 32 times into a core's own cache.
const LENGTH: usize = 16 << 10;

/// Bytes between two streams, so that equal offsets do not compete for the same cache lines.
const SPACING: usize = 4 * BLOCK;

fn main() {
    let mut cases = Vec::new();
    for kernel in Kernel::ALL.into_iter().filter(|kernel| kernel.is_available()) {
        for count in COUNTS.into_iter().filter(|&count| count <= kernel.lanes()) {
            cases.push(Case::new(Some(kernel), count));
        }
    }
    for count in COUNTS {
        cases.push(Case::new(None, count));
    }

    for _ in 0..ROUNDS {
        for case in &mut cases {
            case.sample();
        }
    }

    let alone = cases.iter().find(|case| case.kernel == Some(Kernel::Single)).map(Case::quartiles);
    let [_, alone, _] = alone.expect("runs on any processor");
    println!("| kernel | streams | bytes/cycle | quartiles | times `single` |");
    println!("|---|---|---|---|---|");
    for case in &cases {
        let [low, median, high] = case.quartiles();
        let name = case.kernel.map_or("as chosen", Kernel::name);
        let (count, ratio) = (case.states.len(), median / alone);
        println!("| {name} | {count} | {median:.3} | {low:.3}–{high:.3} | {ratio:.2} |");
    }
}

/// A way to advance so many streams, and how fast it was.
struct Case {
    /// `None` where the crate chooses.
    kernel: Option<Kernel>,
    states: Vec<State>,
    data: Vec<u8>,
    /// In bytes per cycle.
    samples: Vec<f64>,
}

impl Case {
    fn new(kernel: Option<Kernel>, count: usize) -> Self {
        Self {
            kernel,
            states: vec![INITIAL_STATE; count],
            data: vec![0x5a; count * (LENGTH + SPACING)],
            samples: Vec::new(),
        }
    }

    fn sample(&mut self) {
        self.run(); // brings the data back into the cache
        let before = time_cycle();
        let elapsed = self.run();
        let cycle = f64::midpoint(before, time_cycle());
        #[expect(clippy::cast_precision_loss, reason = "at most a mebibyte")]
        let bytes = (self.states.len() * LENGTH) as f64;
        self.samples.push(bytes * cycle / elapsed.as_secs_f64());
    }

    fn run(&mut self) -> Duration {
        let mut streams: Vec<_> = self
            .states
            .iter_mut()
            .zip(self.data.chunks_exact(LENGTH + SPACING))
            .map(|(state, data)| Stream { state, data: &data[..LENGTH] })
            .collect();
        let start = Instant::now();
        match self.kernel {
            Some(kernel) => kernel.compress(&mut streams),
            None => compress(&mut streams),
        }
        start.elapsed()
    }

    fn quartiles(&self) -> [f64; 3] {
        let mut sorted = self.samples.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        [1, 2, 3].map(|quarter| sorted[sorted.len() * quarter / 4])
    }
}

/// How long a cycle of the core takes now, in seconds.
///
/// A multiplication waits three cycles for the one before it, on x86-64 since Nehalem and Zen and on most 64-bit
/// ARM cores. The shortest of three runs stands, because all that disturbs makes one longer.
fn time_cycle() -> f64 {
    const MULTIPLICATIONS: u32 = 2000;
    const CYCLES_EACH: u32 = 3;
    let run = || {
        let start = Instant::now();
        let mut product = black_box(3_u64);
        for _ in 0..MULTIPLICATIONS {
            product = product.wrapping_mul(product);
        }
        black_box(product);
        start.elapsed()
    };
    run().min(run()).min(run()).as_secs_f64() / f64::from(MULTIPLICATIONS * CYCLES_EACH)
}
