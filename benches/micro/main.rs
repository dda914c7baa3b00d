//! What single steps take, each beside the dull way to do the same.
//!
//! ```text
//! cargo bench --bench micro                 all of them
//! cargo bench --bench micro -- decide       those of one file
//! ```
//!
//! One binary, because linking one takes minutes. The times are of this machine
//! in this hour; `instructions` counts what does not depend on either.

use std::time::Duration;

use criterion::Criterion;

mod decide;
#[path = "../names.rs"]
mod names;
mod packet;
#[path = "../roads.rs"]
mod roads;
mod workers;

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    decide::bench(&mut criterion);
    packet::bench(&mut criterion);
    workers::bench(&mut criterion);
    criterion.final_summary();
}
