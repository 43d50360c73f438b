//! What the tools have in common where they meet the user and the system:
//! stderr and the log, signals, options, settings and keys on disk, reports.
//!
//! A tool's `main` calls [`log::init`], reads its command line, and writes to
//! stderr by [`stderr::line`] alone. One that is a peer has [`options`] in its
//! command line, fills them up from [`home::Home::options`], and makes
//! [`settings::Settings`] of them:
//!
//! ```no_run
//! # #[cfg(feature = "peer")]
//! # async fn start() -> Result<(), cli::settings::SettingsError> {
//! use cli::{home::Home, options::Options, settings::Settings};
//!
//! let home = Home::find()?;
//! let typed = Options { server: Some("203.0.113.1".into()), ..Options::default() };
//! let options = typed.or(home.options()?);
//! let settings = Settings::gather(home, options, Some("bob")).await?;
//! // Nobody else may use our name while this is held.
//! let _claim = settings.home.claim(&settings.name, settings.server)?;
//! # Ok(())
//! # }
//! ```
//!
//! Each part is a feature, so that a tool links what it uses. Nothing here
//! speaks a protocol, and nothing prints a result: that is the tool's part.

#[cfg(feature = "peer")]
pub mod address;
#[cfg(feature = "peer")]
pub mod cause;
#[cfg(feature = "head")]
pub mod head;
#[cfg(feature = "peer")]
pub mod home;
#[cfg(feature = "keyfile")]
pub mod keyfile;
#[cfg(feature = "peer")]
pub mod keylist;
#[cfg(feature = "log")]
pub mod log;
#[cfg(feature = "peer")]
pub mod lookup;
#[cfg(feature = "peer")]
pub mod options;
#[cfg(feature = "report")]
pub mod report;
#[cfg(feature = "peer")]
pub mod server;
#[cfg(feature = "peer")]
pub mod settings;
#[cfg(feature = "signals")]
pub mod signals;
pub mod stderr;
pub mod stdout;
