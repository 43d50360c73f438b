//! What the user of `chat send` and `chat receive` is told: a sentence for people, an object for
//! programs (docs/reference/json.md).

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::notice::{Way, ms};
use crate::text::{clean, size};

/// Something to tell.
#[derive(Clone, Debug)]
pub enum Told {
    /// The sender waits under this code.
    Code {
        code: String,
        server: String,
        name: String,
        files: u64,
        bytes: u64,
    },
    /// This is in one of the folders, and is not sent.
    LeftOut(PathBuf),
    /// The receiver looks for the sender.
    Looking { number: u32, server: String },
    /// Nobody waits there.
    Nobody { number: u32, server: String },
    /// Both know the code.
    Proven { way: Way, again: bool },
    /// What the sender has, and whether the user is asked.
    Parcel {
        name: String,
        files: u64,
        bytes: u64,
        into: PathBuf,
        asks: bool,
    },
    /// The answer was neither yes nor no.
    AskAgain,
    /// A file is here.
    Received { path: PathBuf, size: u64 },
    /// The receiver has a file.
    Sent { name: String, size: u64 },
    /// A file does not arrive.
    Failed { name: String, why: String },
    /// The receiver is gone before it had everything; the sender waits for it.
    Interrupted { code: String, files: (u64, u64) },
    /// The path is lost; another is looked for.
    Broken { why: String },
    /// Everything has ended.
    Done { files: u64, bytes: u64, failed: u64 },
    /// It has ended, and why.
    Ended(String),
}

impl Told {
    /// For people.
    pub fn text(&self) -> String {
        match self {
            Told::Code {
                code,
                server,
                name,
                files,
                bytes,
            } => format!(
                "sending {} ({}). On the other computer, type:\n\n    chat receive {code}\n\n\
                 or, where no rendezvous is set:  chat receive --server {server} {code}",
                what(name, *files),
                size(*bytes)
            ),
            Told::LeftOut(path) => format!(
                "not sent: {} is not a file (symbolic links are not followed)",
                path.display()
            ),
            Told::Looking { number, server } => {
                format!("looking for the sender of code {number} at {server}")
            }
            Told::Nobody { number, server } => format!(
                "nobody waits with code {number} at {server} yet. Is the number right, does the \
                 sender still run, and does it use the same rendezvous?"
            ),
            Told::Proven { way, again } => format!(
                "connected{}: {}, {}, round trip {} ms",
                if *again {
                    " again"
                } else {
                    ", and both know the code"
                },
                way.how.text(),
                way.remote,
                ms(way.rtt)
            ),
            Told::Parcel {
                name,
                files,
                bytes,
                into,
                asks,
            } => format!(
                "{} ({}), into {}{}",
                what(name, *files),
                size(*bytes),
                into.display(),
                if *asks { ": receive? [Y/n]" } else { "" }
            ),
            Told::AskAgain => "type y to receive, n to decline".into(),
            Told::Received { path, size: bytes } => {
                format!("✓ {} ({}), verified", path.display(), size(*bytes))
            }
            Told::Sent { name, size: bytes } => {
                format!("✓ {} ({}), verified", clean(name), size(*bytes))
            }
            Told::Failed { name, why } => format!("✗ {}: {}", clean(name), clean(why)),
            Told::Interrupted {
                code,
                files: (delivered, all),
            } => format!(
                "the receiver is gone, and has {delivered} of {all} files. It goes on where it \
                 stopped with the same command: chat receive {code}"
            ),
            Told::Broken { why } => {
                format!("the path is lost ({}): looking for another", clean(why))
            }
            Told::Done {
                files,
                bytes,
                failed: 0,
            } => format!("done: {} ({}), verified", count(*files), size(*bytes)),
            Told::Done {
                files,
                bytes,
                failed,
            } => format!(
                "{} ({}) arrived, and {} did not",
                count(*files),
                size(*bytes),
                count(*failed)
            ),
            Told::Ended(why) => clean(why),
        }
    }

    /// For programs.
    pub fn json(&self) -> Value {
        match self {
            Told::Code {
                code,
                server,
                name,
                files,
                bytes,
            } => json!({
                "event": "code", "code": code, "server": server,
                "name": name, "files": files, "bytes": bytes,
            }),
            Told::LeftOut(path) => json!({"event": "left_out", "path": path}),
            Told::Looking { number, server } => {
                json!({"event": "looking", "number": number, "server": server})
            }
            Told::Nobody { number, server } => {
                json!({"event": "nobody", "number": number, "server": server})
            }
            Told::Proven { way, again } => json!({
                "event": "proven", "how": way.how.word(), "remote": way.remote,
                "rtt_ms": ms(way.rtt), "again": again,
            }),
            Told::Parcel {
                name,
                files,
                bytes,
                into,
                asks,
            } => json!({
                "event": "parcel", "name": name, "files": files, "bytes": bytes,
                "into": into, "asks": asks,
            }),
            Told::AskAgain => json!({"event": "problem", "text": self.text()}),
            Told::Received { path, size } => {
                json!({"event": "received", "path": path, "size": size})
            }
            Told::Sent { name, size } => json!({"event": "sent", "name": name, "size": size}),
            Told::Failed { name, why } => json!({"event": "file_ended", "name": name, "why": why}),
            Told::Interrupted {
                code,
                files: (delivered, all),
            } => json!({
                "event": "interrupted", "code": code, "delivered": delivered, "files": all,
            }),
            Told::Broken { why } => json!({"event": "broken", "why": why}),
            Told::Done {
                files,
                bytes,
                failed,
            } => json!({"event": "done", "files": files, "bytes": bytes, "failed": failed}),
            Told::Ended(why) => json!({"event": "ended", "why": why}),
        }
    }
}

fn what(name: &str, files: u64) -> String {
    match files {
        1 => clean(name),
        _ => format!("{}: {}", clean(name), count(files)),
    }
}

fn count(files: u64) -> String {
    match files {
        1 => "1 file".into(),
        _ => format!("{files} files"),
    }
}
