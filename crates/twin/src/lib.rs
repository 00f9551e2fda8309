//! One patient's twin, and how it comes to fit him.
//!
//! | module | what |
//! |---|---|

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]
