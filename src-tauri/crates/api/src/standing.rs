//! How a receipt stands after its settlements, and its tokens as it stands.

use meter::Receipt;
use meter::usage::{Count, Unit};
pub use store::Standing;

/// Tokens of one receipt, in whole tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// All `input.*` and embedded text.
    pub input: u64,
    /// All `output.*`.
    pub output: u64,
}

/// The tokens that count now.
pub fn tokens(receipt: &Receipt) -> Tokens {
    let standing = Standing::of(receipt);
    let sum = |is_output: bool| {
        let lines = standing.lines.iter().filter(|line| line.unit == Unit::Token);
        let of_side = lines.filter(|line| line.factor.name().starts_with("output.") == is_output);
        of_side.map(|line| line.count).sum::<Count>().millionths() / Count::ONE
    };
    Tokens { input: sum(false), output: sum(true) }
}
