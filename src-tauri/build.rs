//! The window's build steps come with the feature `desktop`; without it there are none.

fn main() {}
