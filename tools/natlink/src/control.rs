//! A natlink that runs takes orders on a local socket: one JSON line, and one as the answer.

use std::fs;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use crate::args::SetArgs;
use crate::carry::{Links, State};

/// The longest order, in bytes.
const LONGEST: usize = 64 << 10;
/// The most callers at once.
const CALLERS: usize = 8;
/// How long a caller may take, and how long it waits for the answer.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Order {
    /// Pairs of a link's name and its settings.
    Set(Vec<(String, String)>),
    Show,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Links(Vec<State>),
    Error(String),
}

/// Opens the socket, for this user alone. One that a natlink has left behind is replaced.
pub fn listen(path: &Path) -> anyhow::Result<Control> {
    if UnixStream::connect(path).is_ok() {
        bail!(
            "another natlink takes orders at {}: give this one --control SOCKET",
            path.display()
        );
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot replace {}", path.display()))?;
        }
        _ => {}
    }
    let why = || {
        format!(
            "cannot take orders at {}: give --control SOCKET",
            path.display()
        )
    };
    let listener = UnixListener::bind(path).with_context(why)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).with_context(why)?;
    listener.set_nonblocking(true).with_context(why)?;
    Ok(Control {
        listener,
        callers: Vec::new(),
    })
}

/// The socket, and those who call. Nothing here waits: frames must not.
pub struct Control {
    listener: UnixListener,
    callers: Vec<Caller>,
}

struct Caller {
    stream: UnixStream,
    since: Instant,
    order: Vec<u8>,
}

impl Control {
    /// What to wait for.
    pub fn files(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let callers = self.callers.iter().map(|caller| caller.stream.as_fd());
        std::iter::once(self.listener.as_fd()).chain(callers)
    }

    /// When the first caller has taken too long.
    pub fn timeout(&self) -> Option<Instant> {
        let since = self.callers.iter().map(|caller| caller.since);
        since.min().map(|since| since + PATIENCE)
    }

    /// Answers those whose order is whole, and forgets those who have broken off or take too long.
    pub fn serve(&mut self, now: Instant, links: &mut Links) {
        while self.callers.len() < CALLERS
            && let Ok((stream, _)) = self.listener.accept()
        {
            if stream.set_nonblocking(true).is_ok() {
                self.callers.push(Caller {
                    stream,
                    since: now,
                    order: Vec::new(),
                });
            }
        }
        self.callers
            .retain_mut(|caller| now < caller.since + PATIENCE && caller.stays(links));
    }
}

impl Caller {
    /// Reads, and answers if the order is whole. Whether there is more to come.
    fn stays(&mut self, links: &mut Links) -> bool {
        let mut piece = [0; 4096];
        loop {
            match self.stream.read(&mut piece) {
                Ok(0) => return false,
                Ok(length) => self.order.extend_from_slice(&piece[..length]),
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
            let whole = self.order.ends_with(b"\n");
            if whole || self.order.len() > LONGEST {
                let answer = match serde_json::from_slice(&self.order) {
                    Ok(order) => obey(order, links),
                    Err(error) => Answer::Error(format!("this version has no such order: {error}")),
                };
                // The socket's buffer takes the answer whole, or the caller has none.
                if let Ok(mut line) = serde_json::to_vec(&answer) {
                    line.push(b'\n');
                    let _ = self.stream.write_all(&line);
                }
                return false;
            }
        }
    }
}

fn obey(order: Order, links: &mut Links) -> Answer {
    let done = match order {
        Order::Show => Ok(()),
        Order::Set(wanted) => {
            let parsed = wanted.into_iter().map(|(name, words)| match words.parse() {
                Ok(link) => Ok((name, link)),
                Err(error) => Err(format!("{name}: {error}")),
            });
            let parsed: Result<Vec<_>, String> = parsed.collect();
            parsed.and_then(|wanted| links.set(&wanted))
        }
    };
    match done {
        Ok(()) => Answer::Links(links.state()),
        Err(error) => Answer::Error(error),
    }
}

/// Gives a natlink that runs an order, and returns what its links do.
fn ask(path: &Path, order: &Order) -> anyhow::Result<Vec<State>> {
    let at = path.display();
    let mut stream = UnixStream::connect(path).with_context(|| {
        format!("no natlink takes orders at {at}. Is one running? Try --control SOCKET")
    })?;
    let mut exchange = || -> io::Result<Answer> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut line = serde_json::to_vec(order)?;
        line.push(b'\n');
        stream.write_all(&line)?;
        let mut line = String::new();
        BufReader::new((&stream).take(64 << 20)).read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    };
    match exchange().with_context(|| format!("no answer from the natlink at {at}"))? {
        Answer::Links(links) => Ok(links),
        Answer::Error(error) => bail!("{error}"),
    }
}

/// `natlink set`
pub fn set(args: &SetArgs) -> anyhow::Result<()> {
    let pair = |arg: &crate::args::SettingsArg| (arg.name.clone(), arg.link.to_string());
    let order = Order::Set(args.links.iter().map(pair).collect());
    ask(&args.control.socket, &order).map(drop)
}

/// What became of the frames of a natlink that runs.
pub fn state(path: &Path) -> anyhow::Result<Vec<State>> {
    ask(path, &Order::Show)
}
