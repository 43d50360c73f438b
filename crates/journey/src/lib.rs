//! What became of each packet: its sightings at several vantage points, joined to a journey that ends
//! with one cause.
//!
//! The types of [`Trace`] are also the JSON of a trace file (docs/reference/json.md). There is no
//! socket, clock or thread here: whoever watches a network hands over what it has seen.
//!
//! Two hosts without a vantage point between them tell each other what their sockets have sent and
//! received ([`account`]); [`hosts::join`] makes journeys of both accounts, after [`clock`] has found how
//! far the two clocks are apart.

pub mod account;
mod cause;
pub mod clock;
pub mod hosts;
mod join;
pub mod ladder;
mod packet;
pub mod page;
pub mod pcapng;
mod read;
pub mod steps;
mod trace;
pub mod watched;

pub use cause::{Said, cause};
pub use join::join;
pub use read::ReadError;
pub use watched::{Vantage, Watched};

pub use trace::{
    Cause, Direction, End, Gap, How, Interface, Journey, Mapping, Node, Sighting, Tables, Trace,
};
