//! Hashes one message by itself.

use std::panic::resume_unwind;
use std::sync::mpsc;
use std::thread;

use super::{Message, SideDigest};
use crate::error::Result;
use crate::sha256::{BLOCK, Hasher, compress};

/// Read a message in pieces and hash each before the next is read.
pub(super) fn hash<M: Message>(mut message: M, piece: usize) -> Result<M::Output> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; piece];
    loop {
        let count = message.read(&mut buffer)?;
        match message.side_digest() {
            None => hasher.update(&buffer[..count]),
            Some(side) => update_both(&mut hasher, side, &buffer[..count]),
        }
        if count < piece {
            return message.finish(hasher.finalize());
        }
    }
}

/// Hash the same bytes for the message and for its side digest, side by side where possible.
fn update_both(hasher: &mut Hasher, side: &mut dyn SideDigest, mut data: &[u8]) {
    while !data.is_empty() {
        let part = match side.room() {
            0 => data,
            room => &data[..room.min(data.len())],
        };
        let blocks = &part[..part.len() - part.len() % BLOCK];
        if !blocks.is_empty() && hasher.is_at_block() && side.can_stream(blocks) {
            compress(&mut [hasher.stream(blocks), side.stream(blocks)]);
            side.settle();
            data = &data[blocks.len()..];
        } else {
            hasher.update(part);
            side.update(part);
            data = &data[part.len()..];
        }
    }
}

/// Hash a message on this thread while another reads it; `None` if no thread can be started.
pub(super) fn hash_reading_ahead<M: Message>(
    mut message: M,
    piece: usize,
) -> Option<Result<M::Output>> {
    let (send_empty, receive_empty) = mpsc::channel::<Vec<u8>>();
    let (send_full, receive_full) = mpsc::channel();
    for _ in 0..2 {
        send_empty.send(vec![0; piece]).expect("the receiver exists");
    }
    // `move`: if this thread panics, its ends of the channels are dropped, which ends the other thread too.
    thread::scope(move |scope| {
        let read = move || {
            for mut buffer in receive_empty {
                let count = message.read(&mut buffer)?;
                // The hashing thread takes longer than this one, so the side digest is computed here.
                if let Some(side) = message.side_digest() {
                    side.update(&buffer[..count]);
                }
                if send_full.send((buffer, count)).is_err() || count < piece {
                    break;
                }
            }
            Ok(message)
        };
        let reader = thread::Builder::new().spawn_scoped(scope, read).ok()?;
        let mut hasher = Hasher::new();
        for (buffer, count) in receive_full {
            hasher.update(&buffer[..count]);
            let _ = send_empty.send(buffer); // fails once the reader has finished
        }
        let message = reader.join().unwrap_or_else(|panic| resume_unwind(panic));
        Some(message.and_then(|message: M| message.finish(hasher.finalize())))
    })
}
