//! Autoscaling policies as pure functions of observations and time.
//!
//! No clock, no input or output: the caller says what time it is (since any fixed instant) and
//! what was observed; the policy says how many replicas it wants. The twin drives them in real
//! time, tests replay recorded time lines through them, and a simulator can do the same.

pub mod knative;
pub mod openfaas;
mod window;
