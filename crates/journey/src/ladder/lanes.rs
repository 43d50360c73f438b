//! The columns of a ladder, and the arrows across them.

use std::ops::RangeInclusive;

use super::way;
use crate::{How, Journey, Trace};

/// The room for the time at the left of each line, with the space behind it.
pub(super) const TIME: usize = 9;
/// The least room between two lanes, and the most.
const SPACING: RangeInclusive<usize> = 3..=9;
/// How much of a line its text has at least, if lanes can be drawn at all.
const TEXT: usize = 36;

/// The columns: one for each node that a packet passed.
#[derive(Debug, Clone)]
pub(super) struct Lanes {
    names: Vec<String>,
    spacing: usize,
    signs: &'static Signs,
}

/// The characters that are drawn.
#[derive(Debug)]
struct Signs {
    lane: char,
    line: char,
    start: char,
    pass: char,
    left: char,
    right: char,
    turn_left: char,
    turn_right: char,
    dead: char,
    unknown: char,
}

const UNICODE: Signs = Signs {
    lane: '│',
    line: '─',
    start: '●',
    pass: '┼',
    left: '◀',
    right: '▶',
    turn_left: '╰',
    turn_right: '╯',
    dead: '✗',
    unknown: '?',
};

const ASCII: Signs = Signs {
    lane: '|',
    line: '-',
    start: 'o',
    pass: '+',
    left: '<',
    right: '>',
    turn_left: '+',
    turn_right: '+',
    dead: 'x',
    unknown: '?',
};

impl Lanes {
    /// The columns of a trace, in a page of this width. There are none where the nodes are too many.
    pub(super) fn of(trace: &Trace, width: usize, ascii: bool) -> Self {
        let passed: std::collections::HashSet<&str> =
            trace.journeys.iter().flat_map(way::nodes).collect();
        let nodes = trace.nodes.iter().map(|node| node.name.clone());
        let mut names: Vec<String> = nodes.filter(|name| passed.contains(&**name)).collect();
        let room = width - TIME - TEXT.max(width / 2);
        let mut spacing = room / names.len().max(1);
        if spacing < *SPACING.start() {
            names.clear();
        }
        spacing = spacing.min(*SPACING.end());
        Self {
            names,
            spacing,
            signs: if ascii { &ASCII } else { &UNICODE },
        }
    }

    /// How wide they are.
    pub(super) fn width(&self) -> usize {
        match self.names.len() {
            0 => 0,
            n => n * self.spacing + 1,
        }
    }

    /// The names of the nodes above their lanes, on as many lines as that takes.
    pub(super) fn names(&self) -> Vec<String> {
        let longest = self.names.iter().map(|name| name.len()).max().unwrap_or(0);
        let rows = (longest + 1).div_ceil(self.spacing.max(1));
        let mut lines = vec![String::new(); rows.min(self.names.len())];
        let levels = lines.len();
        for (n, name) in self.names.iter().enumerate() {
            let line = &mut lines[n % levels];
            // above its lane, and as far to the left as the line begins
            let start = (TIME + self.at(n)).saturating_sub(name.len() / 2);
            let start = start.max(line.len() + usize::from(!line.is_empty()));
            *line = format!("{line:<start$}{name}");
        }
        lines
    }

    /// The lanes without a packet.
    pub(super) fn empty(&self) -> String {
        self.canvas().into_iter().collect()
    }

    /// The lanes with the way of a packet.
    pub(super) fn arrow(&self, journey: &Journey) -> String {
        let mut canvas = self.canvas();
        let nodes = way::nodes(journey);
        let way: Vec<usize> = nodes.iter().filter_map(|node| self.lane(node)).collect();
        let (Some(&first), Some(&last)) = (way.first(), way.last()) else {
            return canvas.into_iter().collect();
        };
        for leg in way.windows(2) {
            self.line(&mut canvas, self.at(leg[0]), self.at(leg[1]));
        }
        for bend in way.windows(3) {
            canvas[self.at(bend[1])] = match (bend[0] < bend[1], bend[1] < bend[2]) {
                (true, false) => self.signs.turn_right,
                (false, true) => self.signs.turn_left,
                _ => self.signs.pass,
            };
        }
        canvas[self.at(first)] = self.signs.start;
        let before = way.iter().rev().nth(1).copied();
        // one that a single node has seen is drawn towards the other side
        let rightwards = before.map_or(first * 2 < self.names.len(), |it| it < last);
        let (at, sign) = match journey.end.how {
            How::Delivered if before.is_none() => (self.at(last), self.signs.start),
            How::Delivered => match rightwards {
                true => (self.at(last), self.signs.right),
                false => (self.at(last), self.signs.left),
            },
            How::Lost => (self.beyond(last, rightwards), self.signs.dead),
            How::Unknown => (self.beyond(last, rightwards), self.signs.unknown),
            How::Dropped | How::Refused | How::TtlExceeded | How::NoListener => {
                (self.at(last), self.signs.dead)
            }
        };
        if at != self.at(last) && last != first {
            canvas[self.at(last)] = self.signs.pass;
        }
        self.line(&mut canvas, self.at(last), at);
        canvas[at] = sign;
        canvas.into_iter().collect()
    }

    fn canvas(&self) -> Vec<char> {
        let mut canvas = vec![' '; self.width()];
        for lane in 0..self.names.len() {
            canvas[self.at(lane)] = self.signs.lane;
        }
        canvas
    }

    /// A line between two places, without their ends.
    fn line(&self, canvas: &mut [char], a: usize, b: usize) {
        for place in &mut canvas[a.min(b) + 1..a.max(b).max(a.min(b) + 1)] {
            if *place == ' ' || *place == self.signs.lane {
                *place = self.signs.line;
            }
        }
    }

    fn lane(&self, node: &str) -> Option<usize> {
        self.names.iter().position(|name| name == node)
    }

    fn at(&self, lane: usize) -> usize {
        lane * self.spacing + self.spacing / 2
    }

    /// Halfway from this lane to the next one.
    fn beyond(&self, lane: usize, rightwards: bool) -> usize {
        let half = self.spacing.div_ceil(2);
        match rightwards {
            true => self.at(lane) + half.min(self.spacing - 1),
            false => self.at(lane).saturating_sub(half.min(self.spacing - 1)),
        }
    }
}
