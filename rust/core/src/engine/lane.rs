//! A lane: the place of one message among those hashed side by side.

use super::Message;
use crate::error::Result;
use crate::sha256::{BLOCK, INITIAL_STATE, MAX_PADDING, State, Stream, digest_of, pad};

/// Bytes at the end of a lane's buffer that are reserved for padding.
pub(super) const PADDING_ROOM: usize = MAX_PADDING.next_multiple_of(BLOCK);

/// A lane and its message.
pub(super) struct Lane<'a, M> {
    /// Holds what was read, and the padding.
    pub(super) buffer: &'a mut [u8],
    pub(super) open: Option<Open<M>>,
}

impl<M: Message> Lane<'_, M> {
    /// Bytes waiting to be hashed; `None` without a message.
    pub(super) fn pending(&self) -> Option<usize> {
        self.open.as_ref().map(Open::pending)
    }

    /// Take the next `length` bytes as streams, for the message and for its side digest.
    pub(super) fn next(&mut self, length: usize) -> [Option<Stream<'_>>; 2] {
        let Some(open) = &mut self.open else { return [None, None] };
        let (start, end) = (open.start, open.start + length);
        let data = &self.buffer[start..end];
        let side = open.message.side_digest().and_then(|side| {
            if end <= open.unpadded && side.can_stream(data) {
                Some(side.stream(data))
            } else {
                side.update(&self.buffer[start.min(open.unpadded)..end.min(open.unpadded)]);
                None
            }
        });
        open.start = end;
        [Some(Stream { state: &mut open.state, data }), side]
    }

    /// Complete the step of `next`, once its streams are hashed.
    pub(super) fn settle(&mut self) {
        if let Some(side) = self.open.as_mut().and_then(|open| open.message.side_digest()) {
            side.settle();
        }
    }
}

/// A message that is being hashed.
pub(super) struct Open<M> {
    pub(super) index: usize,
    message: M,
    state: State,
    /// Bytes read.
    length: u64,
    /// The part of the buffer that waits to be hashed: whole blocks.
    start: usize,
    end: usize,
    /// Where in the buffer the message ends and the padding begins.
    unpadded: usize,
    /// Whether the buffer holds the padding.
    ended: bool,
}

impl<M: Message> Open<M> {
    pub(super) fn new(index: usize, message: M) -> Self {
        let state = INITIAL_STATE;
        Self { index, message, state, length: 0, start: 0, end: 0, unpadded: 0, ended: false }
    }

    pub(super) fn pending(&self) -> usize {
        self.end - self.start
    }

    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<()> {
        let room = buffer.len() - PADDING_ROOM;
        let count = self.message.read(&mut buffer[..room])?;
        self.length += count as u64;
        self.ended = count < room;
        self.end = if self.ended { pad(buffer, count, self.length) } else { count };
        (self.start, self.unpadded) = (0, count);
        Ok(())
    }

    /// Whether all bytes are hashed.
    pub(super) fn is_over(&self) -> bool {
        self.ended && self.start == self.end
    }

    pub(super) fn finish(self) -> Result<M::Output> {
        self.message.finish(digest_of(&self.state))
    }
}
