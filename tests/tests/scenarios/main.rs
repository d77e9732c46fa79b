//! End to end: the real gateway, real targets, real clients. Each module is a chapter, each test a sentence.

#![expect(
    clippy::unwrap_used,
    reason = "scenarios: what is not as expected ends the test"
)]

mod answers;
mod decisions;
