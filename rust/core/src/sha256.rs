//! SHA-256 (FIPS 180-4), of one message or of many side by side.
//!
//! Each round of a message waits for the one before it, which leaves most of a core idle. Independent messages
//! fill these gaps, so [`compress`] advances all the streams that it is given at once.

mod kernels;
mod plan;

use crate::digest::Sha256Digest;
pub use kernels::{BLOCK, INITIAL_STATE, Kernel, State, Stream};
pub(crate) use plan::Plan;
pub use plan::allowed_kernels;

/// Maximum number of bytes that padding adds.
pub(crate) const MAX_PADDING: usize = BLOCK + LENGTH_BYTES;

/// Length of the number at the end of the padding: the message's length in bits.
const LENGTH_BYTES: usize = 8;

/// Advance every stream's state by its blocks, in the fastest way for the number of streams.
///
/// # Panics
///
/// The streams are not whole blocks of equal length.
pub fn compress(streams: &mut [Stream<'_>]) {
    assert!(
        streams.windows(2).all(|pair| pair[0].data.len() == pair[1].data.len()),
        "streams have to be whole blocks of equal length"
    );
    match streams {
        [] => {}
        [_] => plan::fastest_single().compress(streams),
        _ => Plan::current().compress(streams),
    }
}

/// Write the padding of a message of `length` bytes into `buffer`, whose first `filled` bytes are the message's last.
///
/// Returns the end of the padding, which is the end of a block.
pub(crate) fn pad(buffer: &mut [u8], filled: usize, length: u64) -> usize {
    let end = (filled + 1 + LENGTH_BYTES).next_multiple_of(BLOCK);
    buffer[filled] = 0x80;
    buffer[filled + 1..end - LENGTH_BYTES].fill(0);
    buffer[end - LENGTH_BYTES..end].copy_from_slice(&(8 * length).to_be_bytes());
    end
}

/// The digest of a state that includes the padding.
pub(crate) fn digest_of(state: &State) -> Sha256Digest {
    let mut digest = [0; 32];
    for (bytes, word) in digest.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    digest.into()
}

/// Hashes one message that arrives in pieces.
#[derive(Clone)]
pub(crate) struct Hasher {
    state: State,
    length: u64,
    /// The first `length % BLOCK` bytes of an incomplete block, and room for padding.
    rest: [u8; 2 * BLOCK],
}

impl Hasher {
    pub(crate) fn new() -> Self {
        Self { state: INITIAL_STATE, length: 0, rest: [0; 2 * BLOCK] }
    }

    /// Whether the next byte begins a block.
    pub(crate) fn is_at_block(&self) -> bool {
        self.filled() == 0
    }

    /// Take whole blocks, to be hashed by [`compress`] beside other streams. The hasher is between two blocks.
    pub(crate) fn stream<'a>(&'a mut self, blocks: &'a [u8]) -> Stream<'a> {
        assert!(self.is_at_block(), "not between two blocks");
        self.length += blocks.len() as u64;
        Stream { state: &mut self.state, data: blocks }
    }

    pub(crate) fn update(&mut self, mut data: &[u8]) {
        let filled = self.filled();
        self.length += data.len() as u64;
        if filled > 0 {
            let (first, others) = data.split_at(data.len().min(BLOCK - filled));
            let end = filled + first.len();
            self.rest[filled..end].copy_from_slice(first);
            if end < BLOCK {
                return;
            }
            compress(&mut [Stream { state: &mut self.state, data: &self.rest[..BLOCK] }]);
            data = others;
        }
        let (blocks, rest) = data.split_at(data.len() - data.len() % BLOCK);
        compress(&mut [Stream { state: &mut self.state, data: blocks }]);
        self.rest[..rest.len()].copy_from_slice(rest);
    }

    /// Hash a whole message.
    pub(crate) fn digest(data: &[u8]) -> Sha256Digest {
        let mut hasher = Self::new();
        hasher.update(data);
        hasher.finalize()
    }

    pub(crate) fn finalize(mut self) -> Sha256Digest {
        let filled = self.filled();
        let end = pad(&mut self.rest, filled, self.length);
        compress(&mut [Stream { state: &mut self.state, data: &self.rest[..end] }]);
        digest_of(&self.state)
    }

    fn filled(&self) -> usize {
        usize::try_from(self.length % BLOCK as u64).expect("less than a block")
    }
}
