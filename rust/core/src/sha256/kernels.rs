//! The loops that run SHA-256's compression function: the only unsafe code of the crate.
//!
//! All calls go through [`Kernel::compress`]. It checks what the loops rely on: the processor supports their
//! instructions, and all streams are whole blocks of equal length.
#![allow(
    unsafe_code,
    reason = "vector loads and stores go through pointers, and instruction sets are found at run time"
)]
#![allow(
    clippy::large_types_passed_by_value,
    clippy::many_single_char_names,
    clippy::needless_range_loop,
    clippy::too_many_lines,
    reason = "everything is inlined and unrolled, and the names are those of FIPS 180-4"
)]

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod sha_ni;

use std::ops::RangeInclusive;

/// Bytes that the compression function takes at once (FIPS 180-4, section 1).
pub const BLOCK: usize = 64;

/// The eight words of the hash value between two blocks.
pub type State = [u32; 8];

/// The state before the first block (FIPS 180-4, section 5.3.3).
pub const INITIAL_STATE: State = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// The constants of the 64 rounds (FIPS 180-4, section 4.2.2).
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
const ROUND_CONSTANTS: [u32; 64] = [
    0x428a_2f98,
    0x7137_4491,
    0xb5c0_fbcf,
    0xe9b5_dba5,
    0x3956_c25b,
    0x59f1_11f1,
    0x923f_82a4,
    0xab1c_5ed5,
    0xd807_aa98,
    0x1283_5b01,
    0x2431_85be,
    0x550c_7dc3,
    0x72be_5d74,
    0x80de_b1fe,
    0x9bdc_06a7,
    0xc19b_f174,
    0xe49b_69c1,
    0xefbe_4786,
    0x0fc1_9dc6,
    0x240c_a1cc,
    0x2de9_2c6f,
    0x4a74_84aa,
    0x5cb0_a9dc,
    0x76f9_88da,
    0x983e_5152,
    0xa831_c66d,
    0xb003_27c8,
    0xbf59_7fc7,
    0xc6e0_0bf3,
    0xd5a7_9147,
    0x06ca_6351,
    0x1429_2967,
    0x27b7_0a85,
    0x2e1b_2138,
    0x4d2c_6dfc,
    0x5338_0d13,
    0x650a_7354,
    0x766a_0abb,
    0x81c2_c92e,
    0x9272_2c85,
    0xa2bf_e8a1,
    0xa81a_664b,
    0xc24b_8b70,
    0xc76c_51a3,
    0xd192_e819,
    0xd699_0624,
    0xf40e_3585,
    0x106a_a070,
    0x19a4_c116,
    0x1e37_6c08,
    0x2748_774c,
    0x34b0_bcb5,
    0x391c_0cb3,
    0x4ed8_aa4a,
    0x5b9c_ca4f,
    0x682e_6ff3,
    0x748f_82ee,
    0x78a5_636f,
    0x84c8_7814,
    0x8cc7_0208,
    0x90be_fffa,
    0xa450_6ceb,
    0xbef9_a3f7,
    0xc671_78f2,
];

/// Blocks of one message, and the state to advance.
#[derive(Debug)]
pub struct Stream<'a> {
    /// The state before, and then after, the blocks.
    pub state: &'a mut State,
    /// Whole blocks.
    pub data: &'a [u8],
}

/// An implementation of the compression function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// AVX-512, two sets of sixteen messages.
    Avx512x2,
    /// AVX-512, sixteen messages.
    Avx512,
    /// x86's SHA extensions, one to eight messages.
    ShaNi,
    /// AVX2, eight messages.
    Avx2,
    /// `ARMv8`'s SHA-2 instructions, one to four messages.
    Sha2Neon,
    /// The `sha2` crate, one message, on any processor; it detects instructions itself.
    Single,
}

impl Kernel {
    /// All kernels, of all processors.
    pub const ALL: [Self; 6] =
        [Self::Avx512x2, Self::Avx512, Self::ShaNi, Self::Avx2, Self::Sha2Neon, Self::Single];

    /// The kernel's name, for diagnostics and tests.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Avx512x2 => "avx512x2",
            Self::Avx512 => "avx512",
            Self::ShaNi => "sha_ni",
            Self::Avx2 => "avx2",
            Self::Sha2Neon => "sha2_neon",
            Self::Single => "single",
        }
    }

    /// Maximum number of messages at once.
    #[must_use]
    pub fn lanes(self) -> usize {
        match self {
            Self::Avx512x2 => 32,
            Self::Avx512 => 16,
            Self::ShaNi | Self::Avx2 => 8,
            Self::Sha2Neon => 4,
            Self::Single => 1,
        }
    }

    /// The numbers of streams worth timing. Other numbers take as long, with idle lanes.
    pub(super) fn useful_counts(self) -> RangeInclusive<usize> {
        match self {
            Self::ShaNi | Self::Sha2Neon => 1..=self.lanes(),
            _ => self.lanes()..=self.lanes(),
        }
    }

    /// Whether this processor supports the kernel.
    #[must_use]
    pub fn is_available(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512x2 | Self::Avx512 => {
                is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw")
            }
            #[cfg(target_arch = "x86_64")]
            Self::ShaNi => {
                is_x86_feature_detected!("sha")
                    && is_x86_feature_detected!("sse4.1")
                    && is_x86_feature_detected!("avx")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2"),
            #[cfg(target_arch = "aarch64")]
            Self::Sha2Neon => std::arch::is_aarch64_feature_detected!("sha2"),
            Self::Single => true,
            #[allow(unreachable_patterns, reason = "which are left depends on the architecture")]
            _ => false,
        }
    }

    /// Advance every stream's state by its blocks.
    ///
    /// # Panics
    ///
    /// The processor does not support the kernel, there are more streams than lanes, or the streams are not whole
    /// blocks of equal length.
    pub fn compress(self, streams: &mut [Stream<'_>]) {
        assert!(self.is_available(), "this processor does not support {}", self.name());
        assert!(streams.len() <= self.lanes(), "{} has {} lanes", self.name(), self.lanes());
        let Some(length) = streams.first().map(|stream| stream.data.len()) else { return };
        assert!(
            length % BLOCK == 0 && streams.iter().all(|stream| stream.data.len() == length),
            "streams have to be whole blocks of equal length"
        );
        match self {
            // SAFETY: checked above: the processor has the instructions, the streams have equal lengths.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512x2 => unsafe { avx512::compress::<2>(streams) },
            // SAFETY: the same.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { avx512::compress::<1>(streams) },
            // SAFETY: the same.
            #[cfg(target_arch = "x86_64")]
            Self::ShaNi => unsafe { sha_ni::compress(streams) },
            // SAFETY: the same.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { avx2::compress(streams) },
            // SAFETY: the same.
            #[cfg(target_arch = "aarch64")]
            Self::Sha2Neon => unsafe { aarch64::compress(streams) },
            _ => {
                for stream in streams {
                    sha2::block_api::compress256(stream.state, stream.data.as_chunks().0);
                }
            }
        }
    }
}
