//! Integration tests, in reading order.

mod lists;
