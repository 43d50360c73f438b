//! Where peers reach us by TCP, and attempts, one at a time: in a task of its own, which nobody
//! waits for.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use peer_proto::candidate::Tcp;
use peer_proto::cause::Cause;
use peer_proto::endpoint;
use peer_proto::tcp::Observed;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::{Mapping, Port, Punched, Puncher};

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// Peers reach us elsewhere from now on.
    Moved(Tcp),
    /// An attempt has ended.
    Ended(Ended),
}

/// An attempt that has ended.
#[derive(Debug)]
pub struct Ended {
    /// With whom.
    pub peer: String,
    /// Connections that were tried.
    pub tries: u32,
    /// An error: the connection broke right after it was made.
    pub outcome: io::Result<Outcome>,
}

/// What an attempt has come to.
#[derive(Debug)]
pub enum Outcome {
    /// Both sides have agreed on this connection.
    Connected(Punched),
    /// There is none.
    Failed(Cause),
}

/// A port of ours, its mapping, and the attempt from it.
#[derive(Debug)]
pub struct ByTcp {
    candidates: Tcp,
    attempts: mpsc::Sender<Start>,
    events: mpsc::Receiver<Event>,
    /// It ends when this is dropped.
    _task: JoinSet<()>,
}

/// An attempt that is to begin, and who is told that its first SYNs have left.
#[derive(Debug)]
struct Start {
    attempt: endpoint::ByTcp,
    begun: oneshot::Sender<io::Result<()>>,
}

impl ByTcp {
    /// Asks the server for the reflexive address of the port, and keeps it.
    ///
    /// # Errors
    /// When the server does not answer by TCP.
    pub async fn prepare(port: Port, server: SocketAddr) -> io::Result<ByTcp> {
        let mapping = Mapping::ask(&port, server).await?;
        let candidates = mapping.candidates(&port);
        let (attempts, starts) = mpsc::channel(1);
        let (told, events) = mpsc::channel(1);
        let work = Work {
            port,
            server,
            mapping,
            asking: JoinSet::new(),
            attempt: None,
        };
        let mut task = JoinSet::new();
        task.spawn(work.run(starts, told));
        Ok(ByTcp {
            candidates,
            attempts,
            events,
            _task: task,
        })
    }

    /// Our candidates, for a peer.
    pub fn candidates(&self) -> &Tcp {
        &self.candidates
    }

    /// Begins after the introduction, in place of the attempt that is under way. When this
    /// returns, the first SYNs have left.
    ///
    /// # Errors
    /// When the port cannot be listened on.
    pub async fn start(&self, attempt: endpoint::ByTcp) -> io::Result<()> {
        let ended = || io::Error::from(ErrorKind::BrokenPipe);
        let (begun, begins) = oneshot::channel();
        let sent = self.attempts.send(Start { attempt, begun }).await;
        sent.map_err(|_| ended())?;
        begins.await.map_err(|_| ended())?
    }

    /// What happens next. A call that is dropped loses nothing.
    pub async fn next(&mut self) -> Event {
        match self.events.recv().await {
            Some(event) => {
                if let Event::Moved(candidates) = &event {
                    self.candidates = candidates.clone();
                }
                event
            }
            None => std::future::pending().await,
        }
    }
}

/// What the task has.
struct Work {
    port: Port,
    server: SocketAddr,
    mapping: Mapping,
    /// A server that has restarted, or sees us elsewhere, is asked again.
    asking: JoinSet<io::Result<Mapping>>,
    attempt: Option<(endpoint::ByTcp, Puncher)>,
}

impl Work {
    async fn run(mut self, mut starts: mpsc::Receiver<Start>, events: mpsc::Sender<Event>) {
        // Who starts an attempt is not made to take what is told first.
        let mut told: Option<Event> = None;
        loop {
            let is_idle = told.is_none() && self.attempt.is_none();
            let asks = is_idle && self.asking.is_empty();
            let ended = async {
                match &mut self.attempt {
                    Some((_, puncher)) => puncher.ended().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                place = events.reserve(), if told.is_some() => match (place, told.take()) {
                    (Ok(place), Some(event)) => place.send(event),
                    _ => return,
                },
                start = starts.recv() => match start {
                    Some(start) => {
                        let begun = self.begin(start.attempt).await;
                        let _ = start.begun.send(begun);
                    }
                    None => return,
                },
                outcome = ended, if told.is_none() => told = self.ended(outcome),
                () = self.mapping.kept(), if asks => {
                    let (local, server) = (self.port.local, self.server);
                    self.asking.spawn(Mapping::ask_from(local, server));
                }
                Some(asked) = self.asking.join_next(), if told.is_none() => {
                    if let Ok(Ok(mapping)) = asked {
                        self.mapping = mapping;
                        told = Some(Event::Moved(self.mapping.candidates(&self.port)));
                    }
                }
            }
        }
    }

    async fn begin(&mut self, attempt: endpoint::ByTcp) -> io::Result<()> {
        // The connections of an earlier attempt have the same 5-tuple.
        self.attempt = None;
        let puncher = Puncher::start(&mut self.port, attempt.config()).await?;
        self.attempt = Some((attempt, puncher));
        Ok(())
    }

    fn ended(&mut self, outcome: io::Result<Result<Punched, Observed>>) -> Option<Event> {
        let (attempt, puncher) = self.attempt.take()?;
        let outcome = outcome.map(|ended| match ended {
            Ok(punched) => Outcome::Connected(punched),
            Err(observed) => Outcome::Failed(attempt.cause(&observed)),
        });
        Some(Event::Ended(Ended {
            tries: puncher.tries(),
            outcome,
            peer: attempt.peer,
        }))
    }
}
