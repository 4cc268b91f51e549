//! Every kernel, with every number of lanes, agrees with a naive SHA-256 that shares no code with it.

use proptest::collection::vec;
use proptest::prelude::*;
use ritual_artifacts_core::sha256::{BLOCK, INITIAL_STATE, Kernel, State, Stream, compress};

mod naive;

/// The message with its padding: whole blocks.
fn padded(message: &[u8]) -> Vec<u8> {
    let mut blocks = message.to_vec();
    blocks.push(0x80);
    blocks.resize((blocks.len() + 8).next_multiple_of(BLOCK) - 8, 0);
    blocks.extend((message.len() as u64 * 8).to_be_bytes());
    blocks
}

fn hex(state: State) -> String {
    state.map(|word| format!("{word:08x}")).concat()
}

/// Hash messages side by side: each step advances all unfinished ones by the rest of the shortest.
fn hash_all(messages: &[Vec<u8>], advance: impl Fn(&mut [Stream<'_>])) -> Vec<String> {
    let padded: Vec<_> = messages.iter().map(|message| padded(message)).collect();
    let mut states = vec![INITIAL_STATE; messages.len()];
    let mut done = 0;
    while let Some(next) = padded.iter().map(Vec::len).filter(|&length| length > done).min() {
        let mut streams: Vec<_> = states
            .iter_mut()
            .zip(&padded)
            .filter(|(_, blocks)| blocks.len() > done)
            .map(|(state, blocks)| Stream { state, data: &blocks[done..next] })
            .collect();
        advance(&mut streams);
        done = next;
    }
    states.into_iter().map(hex).collect()
}

fn expected(messages: &[Vec<u8>]) -> Vec<String> {
    messages.iter().map(|message| naive::sha256_hex(message)).collect()
}

/// Lengths at the borders of padding and blocks, and messages of many blocks.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let length = prop_oneof![
        prop::sample::select(vec![0_usize, 1, 55, 56, 57, 63, 64, 65, 119, 120, 127, 128, 129]),
        0..=300_usize,
        0..=20_000_usize,
    ];
    length.prop_flat_map(|length| vec(any::<u8>(), length))
}

fn available() -> impl Iterator<Item = Kernel> {
    Kernel::ALL.into_iter().filter(|kernel| kernel.is_available())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_kernel_gives_the_naive_digests(messages in vec(message(), 1..=32)) {
        let expected = expected(&messages);
        for kernel in available() {
            for (messages, expected) in
                messages.chunks(kernel.lanes()).zip(expected.chunks(kernel.lanes()))
            {
                let actual = hash_all(messages, |streams| kernel.compress(streams));
                prop_assert_eq!(actual, expected, "{}", kernel.name());
            }
        }
    }

    #[test]
    fn the_choice_of_kernels_gives_the_naive_digests(messages in vec(message(), 0..=70)) {
        prop_assert_eq!(hash_all(&messages, compress), expected(&messages));
    }
}

#[test]
fn every_kernel_takes_every_number_of_streams() {
    for kernel in available() {
        for count in 0..=kernel.lanes() {
            let messages: Vec<_> =
                (0..count).map(|lane| vec![u8::try_from(lane).unwrap(); 200]).collect();

            let actual = hash_all(&messages, |streams| kernel.compress(streams));

            assert_eq!(actual, expected(&messages), "{} × {count}", kernel.name());
        }
    }
}

#[test]
fn blocks_may_begin_at_any_address() {
    let message: Vec<u8> = (0..=255).cycle().take(64 * 5 + 64).collect();
    for kernel in available() {
        for offset in 0..64 {
            let data = &message[offset..offset + 64 * 5];
            let mut states = vec![INITIAL_STATE; kernel.lanes()];
            let mut reference = INITIAL_STATE;

            let mut streams: Vec<_> =
                states.iter_mut().map(|state| Stream { state, data }).collect();
            kernel.compress(&mut streams);
            Kernel::Single.compress(&mut [Stream { state: &mut reference, data }]);

            assert!(states.iter().all(|state| *state == reference), "{}", kernel.name());
        }
    }
}

#[test]
#[should_panic(expected = "whole blocks of equal length")]
fn streams_of_unequal_length_are_refused() {
    let (mut first, mut second) = (INITIAL_STATE, INITIAL_STATE);
    let (one, two) = ([0; BLOCK], [0; 2 * BLOCK]);

    compress(&mut [
        Stream { state: &mut first, data: &two },
        Stream { state: &mut second, data: &one },
    ]);
}

#[test]
#[should_panic(expected = "whole blocks of equal length")]
fn a_part_of_a_block_is_refused() {
    Kernel::Single.compress(&mut [Stream { state: &mut { INITIAL_STATE }, data: &[0; BLOCK - 1] }]);
}

#[test]
fn each_kernel_has_a_name_of_its_own() {
    let mut names: Vec<_> = Kernel::ALL.iter().map(|kernel| kernel.name()).collect();
    names.sort_unstable();
    names.dedup();

    assert_eq!(names.len(), Kernel::ALL.len());
}
