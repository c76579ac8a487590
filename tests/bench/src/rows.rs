//! One module for each group of figures.

pub mod established;
