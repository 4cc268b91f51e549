//! Copies that continue: whatever was in the targets, the digests are those of the bytes there afterwards.

use std::fs;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use proptest::collection::vec;
use proptest::prelude::*;
use ritual_artifacts_core::{CancelToken, CopyOptions, Progress, ReadSize, copy_files};

mod naive;

/// A source, how much of it is in the target already, and which byte of that is damaged.
#[derive(Clone, Debug)]
struct Case {
    source: Vec<u8>,
    present: Option<usize>,
    damaged: Option<usize>,
}

fn any_case() -> impl Strategy<Value = Case> {
    vec(any::<u8>(), 0..3000).prop_flat_map(|source| {
        let most = source.len() + 3;
        (Just(source), proptest::option::of(0..=most), proptest::option::of(0..=most))
            .prop_map(|(source, present, damaged)| Case { source, present, damaged })
    })
}

impl Case {
    fn target(&self) -> Option<Vec<u8>> {
        let mut bytes: Vec<u8> =
            self.source.iter().copied().chain([0; 3]).take(self.present?).collect();
        if let Some(byte) = self.damaged.and_then(|offset| bytes.get_mut(offset)) {
            *byte ^= 1;
        }
        Some(bytes)
    }

    fn expected(&self) -> Vec<u8> {
        match self.target() {
            Some(present) if present.len() <= self.source.len() => {
                [&present, &self.source[present.len()..]].concat()
            }
            _ => self.source.clone(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_continued_copy_is_what_was_there_and_the_rest_of_the_source(
        cases in vec(any_case(), 1..6),
        workers in 1..4_usize,
        read_size in 1..5000_usize,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let pairs: Vec<(PathBuf, PathBuf)> = (0..cases.len())
            .map(|i| (folder.path().join(format!("{i}")), folder.path().join(format!("{i}.copy"))))
            .collect();
        for (case, (from, to)) in cases.iter().zip(&pairs) {
            fs::write(from, &case.source).unwrap();
            if let Some(target) = case.target() {
                fs::write(to, target).unwrap();
            }
        }
        let options = CopyOptions {
            resume: true,
            max_workers: NonZeroUsize::new(workers),
            read_size: ReadSize::new(read_size).unwrap(),
            ..CopyOptions::default()
        };
        let progress = Progress::new();

        let results = copy_files(&pairs, &options, &progress, &CancelToken::new());

        for ((result, case), (from, to)) in results.into_iter().zip(&cases).zip(&pairs) {
            let (digest, expected) = (result.unwrap(), case.expected());
            prop_assert_eq!(fs::read(to).unwrap(), &expected[..]);
            prop_assert_eq!(digest.sha256.to_string(), naive::sha256_hex(&expected));
            prop_assert_eq!((&digest.path, digest.size), (from, expected.len() as u64));
        }
        let total: usize = cases.iter().map(|case| case.source.len()).sum();
        prop_assert_eq!(progress.drain(), total as u64);
        prop_assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2 * cases.len());
    }
}
