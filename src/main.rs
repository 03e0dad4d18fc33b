//! The `patd` binary.

fn main() {}
