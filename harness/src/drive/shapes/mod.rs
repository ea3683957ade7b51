//! Load shapes, one file each: pure functions from parameters and a seed to intended send times.
