//! Competing risks: follow-up that ends with one of several causes.

mod gray;
mod incidence;
mod sample;

pub use gray::{GrayGroup, GrayTest, gray_test, stratified_gray_test};
pub use incidence::{CumulativeIncidence, IncidenceStep};
pub use sample::CompetingSample;
