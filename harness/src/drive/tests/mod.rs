//! The engine against targets that behave and targets that do not.
