//! Reads the state of a NAT from the kernel, in the router's network namespace. It writes nothing
//! there. The command line is in `main.rs`.

pub mod convert;
#[doc(hidden)]
pub mod fuzzing;
pub mod join;
mod kernel;
pub mod show;
mod stored;
pub mod table;
pub mod watch;
