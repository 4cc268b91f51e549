//! A readable SHA-256 that follows FIPS 180-4 literally: the whole message in memory, one step of the
//! standard after the other, and constants computed from their definitions.

/// Section 5.1.1, then 6.2.2 for each block, as lower-case hexadecimal.
pub(crate) fn sha256_hex(message: &[u8]) -> String {
    let constants = fractions(64, f64::cbrt);
    let mut state: [u32; 8] = fractions(8, f64::sqrt).try_into().unwrap();
    for block in padded(message).chunks(64) {
        compress(&mut state, block, &constants);
    }
    state.map(|word| format!("{word:08x}")).concat()
}

/// A one, zeros, and the length in bits, up to a whole number of blocks.
fn padded(message: &[u8]) -> Vec<u8> {
    let mut padded = message.to_vec();
    padded.push(0x80);
    while padded.len() % 64 != 56 {
        padded.push(0);
    }
    padded.extend((message.len() as u64 * 8).to_be_bytes());
    padded
}

fn compress(state: &mut [u32; 8], block: &[u8], constants: &[u32]) {
    let mut schedule: Vec<u32> =
        block.chunks(4).map(|word| u32::from_be_bytes(word.try_into().unwrap())).collect();
    for t in 16..64 {
        let (w15, w2) = (schedule[t - 15], schedule[t - 2]);
        let small0 = w15.rotate_right(7) ^ w15.rotate_right(18) ^ (w15 >> 3);
        let small1 = w2.rotate_right(17) ^ w2.rotate_right(19) ^ (w2 >> 10);
        let word = small1
            .wrapping_add(schedule[t - 7])
            .wrapping_add(small0)
            .wrapping_add(schedule[t - 16]);
        schedule.push(word);
    }

    // The eight working variables a…h, by position.
    let mut v = *state;
    for t in 0..64 {
        let big1 = v[4].rotate_right(6) ^ v[4].rotate_right(11) ^ v[4].rotate_right(25);
        let choice = (v[4] & v[5]) ^ (!v[4] & v[6]);
        let first = v[7]
            .wrapping_add(big1)
            .wrapping_add(choice)
            .wrapping_add(constants[t])
            .wrapping_add(schedule[t]);
        let big0 = v[0].rotate_right(2) ^ v[0].rotate_right(13) ^ v[0].rotate_right(22);
        let majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
        v.rotate_right(1);
        v[4] = v[4].wrapping_add(first);
        v[0] = first.wrapping_add(big0).wrapping_add(majority);
    }
    for (word, variable) in state.iter_mut().zip(v) {
        *word = word.wrapping_add(variable);
    }
}

/// The first 32 bits of the fractional parts of a root of each of the first `count` primes.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "cutting the fraction to its first 32 bits is the definition"
)]
fn fractions(count: usize, root: fn(f64) -> f64) -> Vec<u32> {
    let is_prime = |n: &u32| (2..*n).all(|divisor| !n.is_multiple_of(divisor));
    let bits = |prime| (root(f64::from(prime)).fract() * 2.0_f64.powi(32)) as u32;
    (2..).filter(is_prime).take(count).map(bits).collect()
}

#[test]
fn the_published_examples_are_met() {
    let examples = [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
        ),
    ];

    for (message, digest) in examples {
        assert_eq!(sha256_hex(message.as_bytes()), digest);
    }
}
