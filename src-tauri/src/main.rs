//! Arguments in, a command out.

fn main() {}
