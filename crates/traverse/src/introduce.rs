//! Bringing two peers together: the rendezvous' side and the client's side of
//! one protocol (docs/protocol.md).
//!
//! A client first brings back a stateless [`cookie`], then binds its name to
//! its key ([`registry`]). Who wants to reach a name sends an offer that only
//! the name's owner can open; the [`server`] forwards it until the owner has
//! acknowledged, and only then answers the caller.

mod bounces;
pub mod client;
pub mod cookie;
mod forward;
mod limit;
pub mod registry;
pub mod server;
