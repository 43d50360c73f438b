//! What every tool needs at its edges.

#[cfg(feature = "peer")]
pub mod home;
#[cfg(feature = "log")]
pub mod log;
#[cfg(feature = "peer")]
pub mod settings;
#[cfg(feature = "signals")]
pub mod signals;
pub mod stderr;
