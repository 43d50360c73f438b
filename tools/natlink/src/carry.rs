//! Links, and the frames on them.

use std::io::{self, ErrorKind};
use std::time::Instant;

use anyhow::bail;
use link::{Line, Link, Settings};
use serde::{Deserialize, Serialize};
use tun_rs::SyncDevice;

use crate::drops::Drops;
use crate::tap::LARGEST;

/// Frames that are read from one device before others have their turn.
const BATCH: usize = 64;

/// The names of the directions, as indices count them.
const DIRECTIONS: [&str; 2] = ["down", "up"];

/// All links of this process.
pub struct Links {
    links: Vec<Carried>,
    drops: Drops,
    buffer: Vec<u8>,
}

struct Carried {
    name: String,
    /// The device nearer to the core, and the other one.
    taps: [SyncDevice; 2],
    /// The direction that begins at each device: down, up.
    lines: [Line<Box<[u8]>>; 2],
    /// Frames that arrived at a device that is not up.
    down: [u64; 2],
}

/// What became of the frames in one direction of a link.
#[derive(Serialize, Deserialize)]
pub struct State {
    pub link: String,
    pub direction: String,
    pub settings: String,
    pub frames: u64,
    pub bytes: u64,
    pub arrived: u64,
    pub under_way: usize,
    pub loss: u64,
    pub queue: u64,
    pub mtu: u64,
    pub device_down: u64,
}

impl Links {
    /// No links yet.
    pub fn new(drops: Drops) -> Self {
        Links {
            links: Vec::new(),
            drops,
            buffer: vec![0; LARGEST],
        }
    }

    /// Adds a link; each direction has a seed of its own.
    pub fn add(&mut self, name: String, taps: [SyncDevice; 2], link: Link, seeds: [u64; 2]) {
        let line = |settings, seed| Line::new(settings, seed);
        self.links.push(Carried {
            name,
            taps,
            lines: [line(link.down, seeds[0]), line(link.up, seeds[1])],
            down: [0; 2],
        });
    }

    /// What these links do from now on: all of them, or none if there is a name that no link has.
    ///
    /// # Errors
    /// What is wrong, with the names that there are.
    pub fn set(&mut self, wanted: &[(String, Link)]) -> Result<(), String> {
        let position = |name: &String| self.links.iter().position(|link| link.name == *name);
        let found: Option<Vec<usize>> = wanted.iter().map(|(name, _)| position(name)).collect();
        let Some(found) = found else {
            let known = |name: &String| position(name).is_some();
            let unknown = wanted
                .iter()
                .map(|(name, _)| name)
                .find(|name| !known(name));
            let names: Vec<&str> = self.links.iter().map(|link| link.name.as_str()).collect();
            return Err(format!(
                "there is no link {}; there are: {}",
                unknown.map_or("", String::as_str),
                names.join(", ")
            ));
        };
        for (index, (_, link)) in found.into_iter().zip(wanted) {
            let [down, up] = &mut self.links[index].lines;
            down.set(link.down);
            up.set(link.up);
        }
        Ok(())
    }

    /// What became of the frames, for each direction of each link.
    pub fn state(&self) -> Vec<State> {
        let each = |link: &Carried, way: usize| {
            let line = &link.lines[way];
            let counters = line.counters();
            State {
                link: link.name.clone(),
                direction: DIRECTIONS[way].into(),
                settings: Settings::to_string(line.settings()),
                frames: counters.frames,
                bytes: counters.bytes,
                arrived: counters.arrived - link.down[way],
                under_way: line.under_way(),
                loss: counters.loss,
                queue: counters.queue,
                mtu: counters.mtu,
                device_down: link.down[way],
            }
        };
        let links = self.links.iter();
        links
            .flat_map(|link| [each(link, 1), each(link, 0)])
            .collect()
    }

    /// The devices; number `n` is the end `n % 2` of the link `n / 2`.
    pub fn devices(&self) -> impl Iterator<Item = &SyncDevice> {
        self.links.iter().flat_map(|link| &link.taps)
    }

    /// Takes frames that have left a device, a bounded number.
    ///
    /// # Errors
    /// The device has gone, or the record of a dropped frame cannot be written.
    pub fn take(&mut self, device: usize) -> anyhow::Result<()> {
        let (link, way) = (&mut self.links[device / 2], device % 2);
        for _ in 0..BATCH {
            let length = match link.taps[way].recv(&mut self.buffer) {
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => bail!("the link {} has lost a device: {error}", link.name),
            };
            let frame = self.buffer[..length].into();
            if let Err((why, frame)) = link.lines[way].accept(Instant::now(), frame, length) {
                let direction = DIRECTIONS[way];
                self.drops
                    .record(&link.name, direction, why.word(), &frame)?;
            }
        }
        Ok(())
    }

    /// Gives the devices the frames that have arrived. Returns when the next one arrives.
    ///
    /// # Errors
    /// The record of a dropped frame cannot be written.
    pub fn deliver(&mut self, now: Instant) -> io::Result<Option<Instant>> {
        let mut next: Option<Instant> = None;
        for link in &mut self.links {
            for (way, line) in link.lines.iter_mut().enumerate() {
                while let Some(frame) = line.pop(now) {
                    // The kernel refuses a frame only where the device is not up.
                    if link.taps[1 - way].send(&frame).is_err() {
                        link.down[way] += 1;
                        let direction = DIRECTIONS[way];
                        self.drops
                            .record(&link.name, direction, "device-down", &frame)?;
                    }
                }
                next = next.into_iter().chain(line.poll_timeout()).min();
            }
        }
        self.drops.flush()?;
        Ok(next)
    }
}
