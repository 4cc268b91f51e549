//! AVX-512: sixteen messages side by side, one in each 32-bit lane of the registers.
//!
//! Two interleaved sets of sixteen keep the pipelines busy while one set waits for its results.

use std::arch::asm;
use std::arch::x86_64::{
    __m512i, _mm512_add_epi32, _mm512_loadu_si512, _mm512_ror_epi32, _mm512_set_epi8,
    _mm512_set1_epi32, _mm512_setzero_si512, _mm512_shuffle_epi8, _mm512_shuffle_i32x4,
    _mm512_srli_epi32, _mm512_storeu_si512, _mm512_sub_epi32, _mm512_ternarylogic_epi32,
    _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};

use super::{BLOCK, ROUND_CONSTANTS, State, Stream};

/// Messages in one set.
pub(super) const LANES: usize = 16;

const XOR3: i32 = 0x96;
const CHOOSE: i32 = 0xCA;
const MAJORITY: i32 = 0xE8;

/// Lane `i` of each vector holds word `i` of the input vectors.
type Words = [__m512i; 16];

/// Advance at most `S * 16` streams of equal length; missing streams leave idle lanes.
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn compress<const S: usize>(streams: &mut [Stream<'_>]) {
    let Some(first) = streams.first() else { return };
    assert!(streams.len() <= S * LANES, "more streams than lanes");
    let blocks = first.data.len() / BLOCK;
    // An idle lane hashes the first stream's bytes, and its result is dropped.
    let mut data = [[first.data.as_ptr(); LANES]; S];
    let mut states = [[[0; 8]; LANES]; S];
    for (lane, stream) in streams.iter().enumerate() {
        assert_eq!(stream.data.len(), blocks * BLOCK, "streams of unequal length");
        data[lane / LANES][lane % LANES] = stream.data.as_ptr();
        states[lane / LANES][lane % LANES] = *stream.state;
    }

    let mut vectors = [[_mm512_setzero_si512(); 8]; S];
    for (vectors, states) in vectors.iter_mut().zip(&states) {
        *vectors = gather_states(states);
    }
    for block in 0..blocks {
        // SAFETY: each pointer is the start of `blocks` blocks, and `block` is one of them.
        unsafe { compress_block(&mut vectors, &data, block * BLOCK) };
    }
    for (states, vectors) in states.iter_mut().zip(&vectors) {
        *states = scatter_states(vectors);
    }

    for (lane, stream) in streams.iter_mut().enumerate() {
        *stream.state = states[lane / LANES][lane % LANES];
    }
}

/// Run the 64 rounds on one block of every lane.
///
/// # Safety
///
/// Sixty-four bytes are readable at `offset` from every pointer.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn compress_block<const S: usize>(
    states: &mut [[__m512i; 8]; S],
    data: &[[*const u8; LANES]; S],
    offset: usize,
) {
    let mut w = [[_mm512_setzero_si512(); 16]; S];
    for s in 0..S {
        // SAFETY: guaranteed by the caller.
        w[s] = unsafe { load_block(&data[s], offset) };
    }
    let mut v = *states;

    macro_rules! round {
        ($t:literal, $k:expr, $a:literal $b:literal $c:literal $d:literal
         $e:literal $f:literal $g:literal $h:literal) => {
            for s in 0..S {
                let v = &mut v[s];
                let kw = _mm512_add_epi32(w[s][$t], _mm512_set1_epi32($k[$t].cast_signed()));
                let choice = _mm512_ternarylogic_epi32::<CHOOSE>(v[$e], v[$f], v[$g]);
                // Σ1(e) is ready last and is added last, because the next round waits for it. T1 is
                // recovered by a subtraction. The pins keep the compiler from changing the order.
                let without_sigma = pin(_mm512_add_epi32(
                    pin(_mm512_add_epi32(_mm512_add_epi32(v[$h], kw), v[$d])),
                    choice,
                ));
                let sigma_1 = xor_rotations::<6, 11, 25>(v[$e]);
                let e = pin(_mm512_add_epi32(without_sigma, sigma_1));
                let t_1 = pin(_mm512_sub_epi32(e, v[$d]));
                let majority = _mm512_ternarylogic_epi32::<MAJORITY>(v[$a], v[$b], v[$c]);
                let t_2 = _mm512_add_epi32(xor_rotations::<2, 13, 22>(v[$a]), majority);
                v[$d] = e;
                v[$h] = _mm512_add_epi32(t_1, t_2);
            }
        };
    }
    macro_rules! schedule {
        ($t:literal, $t1:literal, $t9:literal, $t14:literal) => {
            for s in 0..S {
                let w = &mut w[s];
                let sigma_0 = xor_rotations_and_shift::<7, 18, 3>(w[$t1]);
                let sigma_1 = xor_rotations_and_shift::<17, 19, 10>(w[$t14]);
                let sum = _mm512_add_epi32(_mm512_add_epi32(w[$t], w[$t9]), sigma_0);
                w[$t] = _mm512_add_epi32(sum, sigma_1);
            }
        };
    }
    macro_rules! sixteen_rounds {
        ($k:expr) => {
            round!(0, $k, 0 1 2 3 4 5 6 7);
            round!(1, $k, 7 0 1 2 3 4 5 6);
            round!(2, $k, 6 7 0 1 2 3 4 5);
            round!(3, $k, 5 6 7 0 1 2 3 4);
            round!(4, $k, 4 5 6 7 0 1 2 3);
            round!(5, $k, 3 4 5 6 7 0 1 2);
            round!(6, $k, 2 3 4 5 6 7 0 1);
            round!(7, $k, 1 2 3 4 5 6 7 0);
            round!(8, $k, 0 1 2 3 4 5 6 7);
            round!(9, $k, 7 0 1 2 3 4 5 6);
            round!(10, $k, 6 7 0 1 2 3 4 5);
            round!(11, $k, 5 6 7 0 1 2 3 4);
            round!(12, $k, 4 5 6 7 0 1 2 3);
            round!(13, $k, 3 4 5 6 7 0 1 2);
            round!(14, $k, 2 3 4 5 6 7 0 1);
            round!(15, $k, 1 2 3 4 5 6 7 0);
        };
    }
    macro_rules! scheduled_rounds {
        ($k:expr) => {
            schedule!(0, 1, 9, 14);
            round!(0, $k, 0 1 2 3 4 5 6 7);
            schedule!(1, 2, 10, 15);
            round!(1, $k, 7 0 1 2 3 4 5 6);
            schedule!(2, 3, 11, 0);
            round!(2, $k, 6 7 0 1 2 3 4 5);
            schedule!(3, 4, 12, 1);
            round!(3, $k, 5 6 7 0 1 2 3 4);
            schedule!(4, 5, 13, 2);
            round!(4, $k, 4 5 6 7 0 1 2 3);
            schedule!(5, 6, 14, 3);
            round!(5, $k, 3 4 5 6 7 0 1 2);
            schedule!(6, 7, 15, 4);
            round!(6, $k, 2 3 4 5 6 7 0 1);
            schedule!(7, 8, 0, 5);
            round!(7, $k, 1 2 3 4 5 6 7 0);
            schedule!(8, 9, 1, 6);
            round!(8, $k, 0 1 2 3 4 5 6 7);
            schedule!(9, 10, 2, 7);
            round!(9, $k, 7 0 1 2 3 4 5 6);
            schedule!(10, 11, 3, 8);
            round!(10, $k, 6 7 0 1 2 3 4 5);
            schedule!(11, 12, 4, 9);
            round!(11, $k, 5 6 7 0 1 2 3 4);
            schedule!(12, 13, 5, 10);
            round!(12, $k, 4 5 6 7 0 1 2 3);
            schedule!(13, 14, 6, 11);
            round!(13, $k, 3 4 5 6 7 0 1 2);
            schedule!(14, 15, 7, 12);
            round!(14, $k, 2 3 4 5 6 7 0 1);
            schedule!(15, 0, 8, 13);
            round!(15, $k, 1 2 3 4 5 6 7 0);
        };
    }

    let (constants, _) = ROUND_CONSTANTS.as_chunks::<16>();
    sixteen_rounds!(constants[0]);
    for k in &constants[1..] {
        scheduled_rounds!(k);
    }
    for s in 0..S {
        for word in 0..8 {
            states[s][word] = _mm512_add_epi32(states[s][word], v[s][word]);
        }
    }
}

/// Hide the origin of `x` from the compiler, so that it keeps the order of additions.
#[inline]
#[target_feature(enable = "avx512f")]
fn pin(mut x: __m512i) -> __m512i {
    // SAFETY: there is no instruction in it.
    unsafe { asm!("/* {0} */", inout(zmm_reg) x, options(pure, nomem, nostack, preserves_flags)) };
    x
}

#[inline]
#[target_feature(enable = "avx512f")]
fn xor_rotations<const A: i32, const B: i32, const C: i32>(x: __m512i) -> __m512i {
    let (a, b, c) = (_mm512_ror_epi32::<A>(x), _mm512_ror_epi32::<B>(x), _mm512_ror_epi32::<C>(x));
    _mm512_ternarylogic_epi32::<XOR3>(a, b, c)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn xor_rotations_and_shift<const A: i32, const B: i32, const C: u32>(x: __m512i) -> __m512i {
    let (a, b, c) = (_mm512_ror_epi32::<A>(x), _mm512_ror_epi32::<B>(x), _mm512_srli_epi32::<C>(x));
    _mm512_ternarylogic_epi32::<XOR3>(a, b, c)
}

/// Load one block of each lane, so that vector `i` holds word `i` of every lane.
///
/// # Safety
///
/// Sixty-four bytes are readable at `offset` from every pointer.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn load_block(data: &[*const u8; LANES], offset: usize) -> Words {
    let swap = big_endian_words();
    let mut rows = [_mm512_setzero_si512(); LANES];
    for lane in 0..LANES {
        // SAFETY: guaranteed by the caller; the load needs no alignment.
        let row = unsafe { _mm512_loadu_si512(data[lane].add(offset).cast()) };
        rows[lane] = _mm512_shuffle_epi8(row, swap);
    }
    transpose(rows)
}

/// The byte order that turns big-endian words into the processor's own.
#[inline]
#[target_feature(enable = "avx512f")]
fn big_endian_words() -> __m512i {
    _mm512_set_epi8(
        12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3, //
        12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3, //
        12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3, //
        12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3,
    )
}

/// Transpose a matrix of 16 × 16 words.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose(rows: Words) -> Words {
    let mut pairs = rows;
    for i in 0..8 {
        pairs[2 * i] = _mm512_unpacklo_epi32(rows[2 * i], rows[2 * i + 1]);
        pairs[2 * i + 1] = _mm512_unpackhi_epi32(rows[2 * i], rows[2 * i + 1]);
    }
    let mut quads = pairs;
    for i in 0..4 {
        quads[4 * i] = _mm512_unpacklo_epi64(pairs[4 * i], pairs[4 * i + 2]);
        quads[4 * i + 1] = _mm512_unpackhi_epi64(pairs[4 * i], pairs[4 * i + 2]);
        quads[4 * i + 2] = _mm512_unpacklo_epi64(pairs[4 * i + 1], pairs[4 * i + 3]);
        quads[4 * i + 3] = _mm512_unpackhi_epi64(pairs[4 * i + 1], pairs[4 * i + 3]);
    }
    // `quads[4 * i + j]` holds, in its 128-bit part p, the words 4p + j of the rows 4i to 4i + 3.
    let mut columns = quads;
    for j in 0..4 {
        let even_01 = _mm512_shuffle_i32x4::<0b10_00_10_00>(quads[j], quads[4 + j]);
        let odd_01 = _mm512_shuffle_i32x4::<0b11_01_11_01>(quads[j], quads[4 + j]);
        let even_23 = _mm512_shuffle_i32x4::<0b10_00_10_00>(quads[8 + j], quads[12 + j]);
        let odd_23 = _mm512_shuffle_i32x4::<0b11_01_11_01>(quads[8 + j], quads[12 + j]);
        columns[j] = _mm512_shuffle_i32x4::<0b10_00_10_00>(even_01, even_23);
        columns[8 + j] = _mm512_shuffle_i32x4::<0b11_01_11_01>(even_01, even_23);
        columns[4 + j] = _mm512_shuffle_i32x4::<0b10_00_10_00>(odd_01, odd_23);
        columns[12 + j] = _mm512_shuffle_i32x4::<0b11_01_11_01>(odd_01, odd_23);
    }
    columns
}

#[inline]
#[target_feature(enable = "avx512f")]
fn gather_states(states: &[State; LANES]) -> [__m512i; 8] {
    let mut vectors = [_mm512_setzero_si512(); 8];
    for (word, vector) in vectors.iter_mut().enumerate() {
        let lanes: [u32; LANES] = std::array::from_fn(|lane| states[lane][word]);
        // SAFETY: the array is as large as the register, and the load needs no alignment.
        *vector = unsafe { _mm512_loadu_si512(lanes.as_ptr().cast()) };
    }
    vectors
}

#[inline]
#[target_feature(enable = "avx512f")]
fn scatter_states(vectors: &[__m512i; 8]) -> [State; LANES] {
    let mut states = [[0; 8]; LANES];
    for (word, vector) in vectors.iter().enumerate() {
        let mut lanes = [0_u32; LANES];
        // SAFETY: the array is as large as the register, and the store needs no alignment.
        unsafe { _mm512_storeu_si512(lanes.as_mut_ptr().cast(), *vector) };
        for (state, lane) in states.iter_mut().zip(lanes) {
            state[word] = lane;
        }
    }
    states
}
