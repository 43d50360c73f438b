//! `natlink run`

use std::os::fd::AsFd;
use std::time::Instant;

use anyhow::{Context, ensure};
use link::Link;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::prctl::set_timerslack;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::time::TimeSpec;

use crate::args::{End, LinkArg, RunArgs};
use crate::carry::Links;
use crate::control::{self, Control};
use crate::drops::Drops;
use crate::show;
use crate::tap;

/// The most links of one natlink.
const MOST: usize = 256;

/// A link that is wanted.
#[derive(Debug, PartialEq)]
struct Wanted {
    name: String,
    ends: [End; 2],
    link: Link,
}

pub fn run(args: &RunArgs) -> anyhow::Result<()> {
    let wanted = wanted(&args.links)?;
    let seed = match args.seed {
        Some(seed) => seed,
        None => getrandom::u64().context("cannot read the system's randomness")?,
    };
    // Without it, the kernel wakes us up to 50 us late.
    set_timerslack(1).context("cannot have exact timers")?;
    let signals = signals().context("cannot wait for signals")?;
    let mut links = Links::new(Drops::open(args.drops.as_deref())?);
    let control = control::listen(&args.control.socket)?;
    let ends: Vec<End> = wanted.iter().flat_map(|link| link.ends.clone()).collect();
    let mut taps = tap::open(&ends, args.keep)?.into_iter();
    for (n, Wanted { name, link, .. }) in wanted.into_iter().enumerate() {
        let (Some(first), Some(second)) = (taps.next(), taps.next()) else {
            unreachable!("there is a device for each end");
        };
        let seeds = [0, 1].map(|way| seed.wrapping_add(2 * n as u64 + way));
        links.add(name, [first, second], link, seeds);
    }
    show::ready()?;
    let ended = carry(links, control, &signals);
    // Whoever looks for it finds that none runs, or the next one replaces it.
    let _ = std::fs::remove_file(&args.control.socket);
    ended
}

/// The signals that end it, as a file.
fn signals() -> nix::Result<SignalFd> {
    let set: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]
        .into_iter()
        .collect();
    set.thread_block()?;
    SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
}

/// Carries frames until a signal comes.
fn carry(mut links: Links, mut control: Control, signals: &SignalFd) -> anyhow::Result<()> {
    loop {
        let next = links.deliver(Instant::now())?;
        let next = next.into_iter().chain(control.timeout()).min();
        // Delivering has taken time, hence the clock again.
        let left = next.map(|at| at.saturating_duration_since(Instant::now()));
        let readable = {
            let devices = links.devices().map(AsFd::as_fd);
            let files = std::iter::once(signals.as_fd())
                .chain(devices)
                .chain(control.files());
            let mut files: Vec<PollFd> = files
                .map(|file| PollFd::new(file, PollFlags::POLLIN))
                .collect();
            match ppoll(&mut files, left.map(TimeSpec::from_duration), None) {
                Ok(_) => {}
                Err(Errno::EINTR) => continue,
                Err(error) => return Err(error).context("cannot wait for frames"),
            }
            let readable = files.iter().map(|file| file.any() != Some(false));
            readable.collect::<Vec<bool>>()
        };
        if readable[0] {
            return Ok(());
        }
        let (devices, controls) = readable[1..].split_at(links.devices().count());
        for (device, _) in devices.iter().enumerate().filter(|(_, ready)| **ready) {
            links.take(device)?;
        }
        if controls.contains(&true) || control.timeout().is_some() {
            control.serve(Instant::now(), &mut links);
        }
    }
}

/// The links with their settings, in the order in which their ends were given.
fn wanted(words: &[LinkArg]) -> anyhow::Result<Vec<Wanted>> {
    let mut all: Vec<Wanted> = Vec::new();
    for word in words {
        if let LinkArg::Ends(name, ends) = word {
            ensure!(
                all.iter().all(|link| link.name != *name),
                "the link {name} has ends twice"
            );
            all.push(Wanted {
                name: name.clone(),
                ends: ends.clone(),
                link: Link::default(),
            });
        }
    }
    ensure!(
        all.len() <= MOST,
        "{} links are more than {MOST}",
        all.len()
    );
    for word in words {
        if let LinkArg::Settings(settings) = word {
            let name = &settings.name;
            let link = all.iter_mut().find(|link| link.name == *name);
            link.with_context(|| {
                format!("the link {name} has no ends: give {name}=NODE:DEVICE,NODE:DEVICE as well")
            })?
            .link = settings.link;
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> anyhow::Result<Vec<Wanted>> {
        let words: Vec<LinkArg> = words.iter().map(|word| word.parse().unwrap()).collect();
        wanted(&words)
    }

    #[test]
    fn settings_may_come_before_and_after_the_ends() {
        let links = words(&["b=4g", "a=x:a,y:b", "b=c,d"]).unwrap();
        assert_eq!((&*links[0].name, links[0].link), ("a", Link::default()));
        assert_eq!(
            (&*links[1].name, links[1].link),
            ("b", "4g".parse().unwrap())
        );
    }

    #[test]
    fn a_link_has_two_ends_once() {
        let error = |given| words(given).unwrap_err().to_string();
        assert!(error(&["a=4g"]).contains("has no ends"));
        assert!(error(&["a=x,y", "a=z,w"]).contains("ends twice"));
    }
}
