//! What the engine computes beside a message's SHA-256, from the same read.

use crate::sha256::Stream;

/// Where the parts of a side digest have to end, unless they end with the message: at multiples of this many
/// bytes. Lanes choose the size of their reads by it, so that no read crosses the end of a part.
pub(crate) const PART_BORDER: usize = 256 << 10;

/// Another digest of a message, of SHA-256 too, so that its blocks can share the kernels with the message's own.
///
/// It hashes the message in parts, each of them a SHA-256 of its own. The engine hands over all bytes in order,
/// each either to [`update`](Self::update) or to [`stream`](Self::stream), and a batch of blocks at a time.
pub(crate) trait SideDigest {
    /// Hash the bytes that come next.
    fn update(&mut self, data: &[u8]);

    /// Bytes up to the end of the current part; 0 after the last part.
    fn room(&self) -> usize;

    /// Whether `data` is whole blocks of the current part, so that [`stream`](Self::stream) takes it.
    fn can_stream(&self, data: &[u8]) -> bool;

    /// Take `data`, to be hashed by [`compress`](crate::sha256::compress) beside other streams; call
    /// [`settle`](Self::settle) afterwards.
    ///
    /// # Panics
    ///
    /// [`can_stream`](Self::can_stream) is false for `data`.
    fn stream<'a>(&'a mut self, data: &'a [u8]) -> Stream<'a>;

    /// Complete what `stream` began, once its blocks are hashed.
    fn settle(&mut self);
}
