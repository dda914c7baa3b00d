//! dns
pub mod answer;
pub mod cache;
pub mod limiter;
pub mod local;
pub mod mailbox;
pub mod pipeline;
pub mod question;
pub mod reply;
pub mod second_look;
pub mod streams;
pub mod udp;
pub mod upstream;
pub mod worker;
