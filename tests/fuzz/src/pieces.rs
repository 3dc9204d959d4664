//! Ways to cut bytes into pieces.

/// Pieces of hostile sizes, always the same for the same bytes.
pub(crate) fn hostile(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let seed = bytes
        .iter()
        .fold(bytes.len() as u64, |sum, byte| sum.wrapping_mul(0x100_0000_01b3) ^ u64::from(*byte));
    let mut random = fastrand::Rng::with_seed(seed);
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let most = rest.len().min(if random.bool() { 7 } else { 1500 });
        let (piece, more) = rest.split_at(random.usize(most.min(1)..=most));
        rest = more;
        (!piece.is_empty()).then_some(piece)
    })
}
