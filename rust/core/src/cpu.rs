//! What this processor can do for SHA-256.

/// The instruction sets found at run time that speed SHA-256 up, for diagnostics.
///
/// An empty list means that hashing runs on portable code.
#[must_use]
pub fn cpu_features() -> Vec<&'static str> {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    let found = [
        // The SHA rounds need SSE4.1's shuffles beside them.
        ("sha_ni", is_x86_feature_detected!("sha") && is_x86_feature_detected!("sse4.1")),
        ("avx2", is_x86_feature_detected!("avx2")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
    ];
    #[cfg(target_arch = "aarch64")]
    let found = [("sha2", std::arch::is_aarch64_feature_detected!("sha2"))];
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")))]
    let found = [];

    found.into_iter().filter_map(|(name, present)| present.then_some(name)).collect()
}
