//! What was asked and what became of it: the only place where pupils' queries
//! are written down.
//!
//! The road of a row: `event` (borrowed, made by the pipeline) → `recorder`
//! (packed by `packed`, counted in a worker's `tally`, held to its `budget`, and
//! at the end of a window put into its ring) → `writer` (one thread: drains,
//! gathers in `spool`, writes) → `store` (one database a day in `day`, named
//! by `days`, charts from `summary`) → `read` (whoever looks: `log`, `visits`) and
//! `day_file` (whoever looks at one day by number). `told` is what a program gets
//! of a row.
//! `retention` drops whole days, `erase` one device's rows; a `hold` stops both.
//!
//! It must never delay an answer: a full ring, a full disk or a broken database
//! costs rows, in a set order and counted, and nothing else.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod budget;
pub mod day;
pub mod day_file;
pub mod days;
pub mod erase;
pub mod event;
pub mod filter;
pub mod health;
pub mod hold;
pub mod log;
pub mod moment;
mod packed;
pub mod read;
pub mod recorder;
pub mod retention;
pub mod row;
mod spool;
pub mod store;
pub mod summary;
mod tally;
pub mod told;
pub mod visits;
mod words;
pub mod writer;
