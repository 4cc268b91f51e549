//! `ARMv8`'s SHA-2 instructions: up to four messages at once, their instructions interleaved.

use std::arch::aarch64::{
    uint32x4_t, vaddq_u32, vdupq_n_u32, vld1q_u8, vld1q_u32, vreinterpretq_u32_u8, vrev32q_u8,
    vsha256h2q_u32, vsha256hq_u32, vsha256su0q_u32, vsha256su1q_u32, vst1q_u32,
};

use super::{BLOCK, ROUND_CONSTANTS, Stream};

/// Advance at most four streams of equal length.
#[target_feature(enable = "sha2")]
pub(super) fn compress(streams: &mut [Stream<'_>]) {
    match streams.len() {
        0 => {}
        1 => compress_exactly::<1>(streams),
        2 => compress_exactly::<2>(streams),
        3 => compress_exactly::<3>(streams),
        4 => compress_exactly::<4>(streams),
        _ => panic!("more streams than lanes"),
    }
}

#[target_feature(enable = "sha2")]
fn compress_exactly<const N: usize>(streams: &mut [Stream<'_>]) {
    let blocks = streams[0].data.len() / BLOCK;
    for stream in &*streams {
        assert_eq!(stream.data.len(), blocks * BLOCK, "streams of unequal length");
    }
    let data: [*const u8; N] = std::array::from_fn(|lane| streams[lane].data.as_ptr());
    let mut states = [[vdupq_n_u32(0); 2]; N];
    for (halves, stream) in states.iter_mut().zip(&*streams) {
        // SAFETY: a state is twice four words.
        *halves =
            unsafe { [vld1q_u32(stream.state.as_ptr()), vld1q_u32(stream.state.as_ptr().add(4))] };
    }

    for block in 0..blocks {
        // SAFETY: each pointer is the start of `blocks` blocks, and `block` is one of them.
        unsafe { compress_block(&mut states, &data, block * BLOCK) };
    }

    for (stream, [abcd, efgh]) in streams.iter_mut().zip(states) {
        // SAFETY: a state is twice four words.
        unsafe {
            vst1q_u32(stream.state.as_mut_ptr(), abcd);
            vst1q_u32(stream.state.as_mut_ptr().add(4), efgh);
        }
    }
}

/// Run the 64 rounds on one block of every lane.
///
/// # Safety
///
/// Sixty-four bytes are readable at `offset` from every pointer.
#[inline]
#[target_feature(enable = "sha2")]
unsafe fn compress_block<const N: usize>(
    states: &mut [[uint32x4_t; 2]; N],
    data: &[*const u8; N],
    offset: usize,
) {
    let mut w = [[vdupq_n_u32(0); N]; 4];
    for quarter in 0..4 {
        for lane in 0..N {
            // SAFETY: guaranteed by the caller.
            let bytes = unsafe { vld1q_u8(data[lane].add(offset + 16 * quarter)) };
            w[quarter][lane] = vreinterpretq_u32_u8(vrev32q_u8(bytes));
        }
    }
    let before = *states;

    for t in 0..16 {
        // SAFETY: there are sixteen times four constants.
        let k = unsafe { vld1q_u32(ROUND_CONSTANTS.as_ptr().add(4 * t)) };
        for lane in 0..N {
            let [abcd, efgh] = states[lane];
            let kw = vaddq_u32(w[t % 4][lane], k);
            states[lane] = [vsha256hq_u32(abcd, efgh, kw), vsha256h2q_u32(efgh, abcd, kw)];
        }
        if t < 12 {
            for lane in 0..N {
                let [w0, w1, w2, w3] = [
                    w[t % 4][lane],
                    w[(t + 1) % 4][lane],
                    w[(t + 2) % 4][lane],
                    w[(t + 3) % 4][lane],
                ];
                w[t % 4][lane] = vsha256su1q_u32(vsha256su0q_u32(w0, w1), w2, w3);
            }
        }
    }

    for (after, before) in states.iter_mut().zip(before) {
        *after = [vaddq_u32(after[0], before[0]), vaddq_u32(after[1], before[1])];
    }
}
