//! Digests that the engine computes beside a message's SHA-256, from the same read.

use crate::sha256::Stream;

/// Every part of a side digest has to end at a multiple of this many bytes, apart from the last ones of a message.
/// Lanes choose the size of their reads accordingly, so that few reads cross the end of a part.
pub(crate) const PART_BORDER: usize = 256 << 10;

/// A digest that splits a message into parts and hashes each part with SHA-256.
///
/// Its blocks are hashed in the same kernels as the message's own, where they fill gaps. The engine passes all
/// bytes in order and many blocks at a time, either to [`update`](Self::update) or to [`stream`](Self::stream).
pub(crate) trait SideDigest {
    /// Hash the next bytes.
    fn update(&mut self, data: &[u8]);

    /// Bytes up to the end of the current part; 0 after the last part.
    fn room(&self) -> usize;

    /// Whether `data` can be passed to [`stream`](Self::stream): it is whole blocks of the current part.
    fn can_stream(&self, data: &[u8]) -> bool;

    /// Take `data` as a stream. Pass it to [`compress`](crate::sha256::compress), beside others, then call
    /// [`settle`](Self::settle).
    ///
    /// # Panics
    ///
    /// [`can_stream`](Self::can_stream) is false for `data`.
    fn stream<'a>(&'a mut self, data: &'a [u8]) -> Stream<'a>;

    /// Complete the step that [`stream`](Self::stream) began, once its blocks are hashed.
    fn settle(&mut self);
}
