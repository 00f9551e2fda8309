//! Mistakes in trial files.
