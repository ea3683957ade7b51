//! Autoscaling policies as pure functions of observations and time.
