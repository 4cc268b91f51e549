//! x86's SHA extensions: up to eight messages at once, their instructions interleaved.
//!
//! `sha256rnds2` has a latency of four cycles, which several messages fill. Built with AVX encoding: if other
//! code has left values in the upper halves of the registers, the older encoding is slower by a quarter.

use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_blend_epi16, _mm_loadu_si128, _mm_set_epi8,
    _mm_setzero_si128, _mm_sha256msg1_epu32, _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32,
    _mm_shuffle_epi8, _mm_shuffle_epi32, _mm_storeu_si128,
};

use super::{BLOCK, ROUND_CONSTANTS, State, Stream};

/// Advance at most eight streams of equal length.
#[target_feature(enable = "sha,sse4.1,avx")]
pub(super) fn compress(streams: &mut [Stream<'_>]) {
    match streams.len() {
        0 => {}
        1 => compress_exactly::<1>(streams),
        2 => compress_exactly::<2>(streams),
        3 => compress_exactly::<3>(streams),
        4 => compress_exactly::<4>(streams),
        5 => compress_exactly::<5>(streams),
        6 => compress_exactly::<6>(streams),
        7 => compress_exactly::<7>(streams),
        8 => compress_exactly::<8>(streams),
        _ => panic!("more streams than lanes"),
    }
}

#[target_feature(enable = "sha,sse4.1,avx")]
fn compress_exactly<const N: usize>(streams: &mut [Stream<'_>]) {
    let blocks = streams[0].data.len() / BLOCK;
    for stream in &*streams {
        assert_eq!(stream.data.len(), blocks * BLOCK, "streams of unequal length");
    }
    let data: [*const u8; N] = std::array::from_fn(|lane| streams[lane].data.as_ptr());
    let mut halves = [(_mm_setzero_si128(), _mm_setzero_si128()); N];
    for (halves, stream) in halves.iter_mut().zip(&*streams) {
        *halves = split_state(stream.state);
    }

    for block in 0..blocks {
        // SAFETY: each pointer is the start of `blocks` blocks, and `block` is one of them.
        unsafe { compress_block(&mut halves, &data, block * BLOCK) };
    }

    for (stream, halves) in streams.iter_mut().zip(halves) {
        *stream.state = join_state(halves);
    }
}

/// Run the 64 rounds on one block of every lane.
///
/// # Safety
///
/// Sixty-four bytes are readable at `offset` from every pointer.
#[inline]
#[target_feature(enable = "sha,sse4.1,avx")]
unsafe fn compress_block<const N: usize>(
    halves: &mut [(__m128i, __m128i); N],
    data: &[*const u8; N],
    offset: usize,
) {
    let swap = _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3);
    let mut w = [[_mm_setzero_si128(); N]; 4];
    for quarter in 0..4 {
        for lane in 0..N {
            // SAFETY: guaranteed by the caller; the load needs no alignment.
            let words = unsafe { _mm_loadu_si128(data[lane].add(offset + 16 * quarter).cast()) };
            w[quarter][lane] = _mm_shuffle_epi8(words, swap);
        }
    }
    let before = *halves;

    macro_rules! four_rounds {
        ($k:expr, $w:literal) => {
            for lane in 0..N {
                let (abef, cdgh) = &mut halves[lane];
                let kw = _mm_add_epi32(w[$w][lane], $k);
                *cdgh = _mm_sha256rnds2_epu32(*cdgh, *abef, kw);
                *abef = _mm_sha256rnds2_epu32(*abef, *cdgh, _mm_shuffle_epi32::<0b00_00_11_10>(kw));
            }
        };
    }
    macro_rules! schedule {
        ($w0:literal, $w1:literal, $w2:literal, $w3:literal) => {
            for lane in 0..N {
                let sum = _mm_add_epi32(
                    _mm_sha256msg1_epu32(w[$w0][lane], w[$w1][lane]),
                    _mm_alignr_epi8::<4>(w[$w3][lane], w[$w2][lane]),
                );
                w[$w0][lane] = _mm_sha256msg2_epu32(sum, w[$w3][lane]);
            }
        };
    }

    let (constants, _) = ROUND_CONSTANTS.as_chunks::<16>();
    let (last, others) = constants.split_last().expect("there are 64 constants");
    for k in others {
        let k = load_constants(k);
        four_rounds!(k[0], 0);
        schedule!(0, 1, 2, 3);
        four_rounds!(k[1], 1);
        schedule!(1, 2, 3, 0);
        four_rounds!(k[2], 2);
        schedule!(2, 3, 0, 1);
        four_rounds!(k[3], 3);
        schedule!(3, 0, 1, 2);
    }
    let k = load_constants(last);
    four_rounds!(k[0], 0);
    four_rounds!(k[1], 1);
    four_rounds!(k[2], 2);
    four_rounds!(k[3], 3);

    for (after, before) in halves.iter_mut().zip(before) {
        after.0 = _mm_add_epi32(after.0, before.0);
        after.1 = _mm_add_epi32(after.1, before.1);
    }
}

#[inline]
#[target_feature(enable = "sse2,avx")]
fn load_constants(constants: &[u32; 16]) -> [__m128i; 4] {
    // SAFETY: the array holds four times 16 bytes, and the loads need no alignment.
    std::array::from_fn(|i| unsafe { _mm_loadu_si128(constants.as_ptr().add(4 * i).cast()) })
}

/// Put a state into the order that the instructions need: the words a, b, e, f and c, d, g, h.
#[inline]
#[target_feature(enable = "sse4.1,avx")]
fn split_state(state: &State) -> (__m128i, __m128i) {
    // SAFETY: the state is twice 16 bytes, and the loads need no alignment.
    let (abcd, efgh) = unsafe {
        (_mm_loadu_si128(state.as_ptr().cast()), _mm_loadu_si128(state.as_ptr().add(4).cast()))
    };
    let cdab = _mm_shuffle_epi32::<0b10_11_00_01>(abcd);
    let hgfe = _mm_shuffle_epi32::<0b00_01_10_11>(efgh);
    (_mm_alignr_epi8::<8>(cdab, hgfe), _mm_blend_epi16::<0b1111_0000>(hgfe, cdab))
}

#[inline]
#[target_feature(enable = "sse4.1,avx")]
fn join_state((abef, cdgh): (__m128i, __m128i)) -> State {
    let feba = _mm_shuffle_epi32::<0b00_01_10_11>(abef);
    let dchg = _mm_shuffle_epi32::<0b10_11_00_01>(cdgh);
    let mut state = [0; 8];
    // SAFETY: the state is twice 16 bytes, and the stores need no alignment.
    unsafe {
        _mm_storeu_si128(state.as_mut_ptr().cast(), _mm_blend_epi16::<0b1111_0000>(feba, dchg));
        _mm_storeu_si128(state.as_mut_ptr().add(4).cast(), _mm_alignr_epi8::<8>(dchg, feba));
    }
    state
}
