//! Stage 5, pure: from records to numbers, and from numbers to verdicts. Formulas cite their source.

pub mod summary;
