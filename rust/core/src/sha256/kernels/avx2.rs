//! AVX2: eight messages side by side, for processors without SHA instructions.

use std::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_and_si256, _mm256_andnot_si256, _mm256_loadu_si256,
    _mm256_or_si256, _mm256_permute2x128_si256, _mm256_set_epi8, _mm256_set1_epi32,
    _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_slli_epi32, _mm256_srli_epi32,
    _mm256_storeu_si256, _mm256_unpackhi_epi32, _mm256_unpackhi_epi64, _mm256_unpacklo_epi32,
    _mm256_unpacklo_epi64, _mm256_xor_si256,
};

use super::{BLOCK, ROUND_CONSTANTS, Stream};

/// Messages at once.
pub(super) const LANES: usize = 8;

/// Advance at most eight streams of equal length; missing streams leave idle lanes.
#[target_feature(enable = "avx2")]
pub(super) fn compress(streams: &mut [Stream<'_>]) {
    let Some(first) = streams.first() else { return };
    assert!(streams.len() <= LANES, "more streams than lanes");
    let blocks = first.data.len() / BLOCK;
    // An idle lane hashes the first stream's bytes, and its result is dropped.
    let mut data = [first.data.as_ptr(); LANES];
    let mut rows = [_mm256_setzero_si256(); LANES];
    for (lane, stream) in streams.iter().enumerate() {
        assert_eq!(stream.data.len(), blocks * BLOCK, "streams of unequal length");
        data[lane] = stream.data.as_ptr();
        // SAFETY: a state is as large as the register, and the load needs no alignment.
        rows[lane] = unsafe { _mm256_loadu_si256(stream.state.as_ptr().cast()) };
    }

    let mut state = transpose(rows);
    for block in 0..blocks {
        // SAFETY: each pointer is the start of `blocks` blocks, and `block` is one of them.
        unsafe { compress_block(&mut state, &data, block * BLOCK) };
    }

    for (stream, row) in streams.iter_mut().zip(transpose(state)) {
        // SAFETY: a state is as large as the register, and the store needs no alignment.
        unsafe { _mm256_storeu_si256(stream.state.as_mut_ptr().cast(), row) };
    }
}

/// Run the 64 rounds on one block of every lane.
///
/// # Safety
///
/// Sixty-four bytes are readable at `offset` from every pointer.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn compress_block(state: &mut [__m256i; 8], data: &[*const u8; LANES], offset: usize) {
    let mut w = [_mm256_setzero_si256(); 16];
    for half in 0..2 {
        // SAFETY: guaranteed by the caller.
        let words = unsafe { load_half_block(data, offset + 32 * half) };
        w[8 * half..8 * half + 8].copy_from_slice(&words);
    }
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
    for (t, constant) in ROUND_CONSTANTS.into_iter().enumerate() {
        let i = t % 16;
        if t >= 16 {
            let (w1, w9, w14) = (w[(t + 1) % 16], w[(t + 9) % 16], w[(t + 14) % 16]);
            let sigma_0 =
                xor3(rotate::<7, 25>(w1), rotate::<18, 14>(w1), _mm256_srli_epi32::<3>(w1));
            let sigma_1 =
                xor3(rotate::<17, 15>(w14), rotate::<19, 13>(w14), _mm256_srli_epi32::<10>(w14));
            w[i] = add(add(w[i], w9), add(sigma_0, sigma_1));
        }
        let sigma_1 = xor3(rotate::<6, 26>(e), rotate::<11, 21>(e), rotate::<25, 7>(e));
        let choice = _mm256_xor_si256(_mm256_and_si256(e, f), _mm256_andnot_si256(e, g));
        let k = _mm256_set1_epi32(constant.cast_signed());
        let t_1 = add(add(h, add(w[i], k)), add(choice, sigma_1));
        let sigma_0 = xor3(rotate::<2, 30>(a), rotate::<13, 19>(a), rotate::<22, 10>(a));
        let majority =
            _mm256_or_si256(_mm256_and_si256(a, b), _mm256_and_si256(c, _mm256_or_si256(a, b)));
        (h, g, f, e) = (g, f, e, add(d, t_1));
        (d, c, b, a) = (c, b, a, add(t_1, add(sigma_0, majority)));
    }
    for (before, after) in state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
        *before = add(*before, after);
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn add(a: __m256i, b: __m256i) -> __m256i {
    _mm256_add_epi32(a, b)
}

#[inline]
#[target_feature(enable = "avx2")]
fn xor3(a: __m256i, b: __m256i, c: __m256i) -> __m256i {
    _mm256_xor_si256(_mm256_xor_si256(a, b), c)
}

/// Rotate right by `R`; `L` is 32 − `R`.
#[inline]
#[target_feature(enable = "avx2")]
fn rotate<const R: i32, const L: i32>(x: __m256i) -> __m256i {
    const { assert!(R + L == 32) };
    _mm256_or_si256(_mm256_srli_epi32::<R>(x), _mm256_slli_epi32::<L>(x))
}

/// Load half a block of each lane, so that vector `i` holds word `i` of every lane.
///
/// # Safety
///
/// Thirty-two bytes are readable at `offset` from every pointer.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn load_half_block(data: &[*const u8; LANES], offset: usize) -> [__m256i; 8] {
    let swap = _mm256_set_epi8(
        12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3, //
        12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3,
    );
    transpose(std::array::from_fn(|lane| {
        // SAFETY: guaranteed by the caller; the load needs no alignment.
        let row = unsafe { _mm256_loadu_si256(data[lane].add(offset).cast()) };
        _mm256_shuffle_epi8(row, swap)
    }))
}

/// Transpose a matrix of 8 × 8 words.
#[inline]
#[target_feature(enable = "avx2")]
fn transpose(rows: [__m256i; 8]) -> [__m256i; 8] {
    let mut pairs = rows;
    for i in 0..4 {
        pairs[2 * i] = _mm256_unpacklo_epi32(rows[2 * i], rows[2 * i + 1]);
        pairs[2 * i + 1] = _mm256_unpackhi_epi32(rows[2 * i], rows[2 * i + 1]);
    }
    let mut quads = pairs;
    for i in 0..2 {
        quads[4 * i] = _mm256_unpacklo_epi64(pairs[4 * i], pairs[4 * i + 2]);
        quads[4 * i + 1] = _mm256_unpackhi_epi64(pairs[4 * i], pairs[4 * i + 2]);
        quads[4 * i + 2] = _mm256_unpacklo_epi64(pairs[4 * i + 1], pairs[4 * i + 3]);
        quads[4 * i + 3] = _mm256_unpackhi_epi64(pairs[4 * i + 1], pairs[4 * i + 3]);
    }
    let mut columns = quads;
    for j in 0..4 {
        columns[j] = _mm256_permute2x128_si256::<0x20>(quads[j], quads[4 + j]);
        columns[4 + j] = _mm256_permute2x128_si256::<0x31>(quads[j], quads[4 + j]);
    }
    columns
}
