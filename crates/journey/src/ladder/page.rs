//! The page: a line for each row, the details under it, and the cause at the end.

use std::collections::HashSet;
use std::net::SocketAddr;

use anstyle::Style;

use super::Options;
use super::changes::Changes;
use super::lanes::{Lanes, TIME};
use super::rows::{self, More, Packet, Row};
use super::text::{BAD, CHANGE, FAINT, PLAIN, Paint, STRONG, WARNING, width, wrap};
use super::way;
use crate::{Gap, How, Journey, Trace};

/// A page that is written from top to bottom.
pub(super) struct Page<'a> {
    trace: &'a Trace,
    paint: Paint,
    width: usize,
    lanes: Lanes,
    changes: Changes<'a>,
    /// The pairs of endpoints that have been shown.
    shown: HashSet<[SocketAddr; 2]>,
    out: String,
}

impl<'a> Page<'a> {
    pub(super) fn new(trace: &'a Trace, options: &Options) -> Self {
        let width = options.width.clamp(60, 100);
        Self {
            trace,
            paint: Paint {
                ascii: options.ascii,
                colour: options.colour,
            },
            width,
            lanes: Lanes::of(trace, width, options.ascii),
            changes: Changes::of(trace),
            shown: HashSet::new(),
            out: String::new(),
        }
    }

    /// The nodes with their addresses, what the signs mean, and the names of the columns.
    pub(super) fn head(&mut self) {
        let longest = self.trace.nodes.iter().map(|node| node.name.len()).max();
        let indent = longest.unwrap_or(0) + 2;
        for node in &self.trace.nodes {
            let mut addresses = Vec::new();
            for address in node.interfaces.iter().flat_map(|it| &it.addresses) {
                if !addresses.contains(address) {
                    addresses.push(*address);
                }
            }
            let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            let what = format!("{}: {}", node.description, addresses.join(", "));
            let what = self.paint.clean(&what);
            let name = self.paint.clean(&node.name);
            for (n, line) in wrap(&what, self.width - indent, 0).iter().enumerate() {
                let name = if n == 0 { &name } else { "" };
                self.line(&format!("{name:<indent$}{line}"));
            }
        }
        self.line("");
        let signs = match self.paint.ascii {
            false => "● sent  ┼ passed  ╰ turned  ▶ arrived  ✗ ended there\n? not seen again",
            true => "o sent  + passed, or turned  > arrived  x ended there\n? not seen again",
        };
        match self.width < 75 {
            true => signs.lines().for_each(|line| self.line(line)),
            false => self.line(&signs.replace('\n', "  ")),
        }
        self.paragraph(
            PLAIN,
            "A NAT lets a packet in only at a port from which a host behind it has sent. To whom it has to have \
             sent there depends on the type of the NAT.",
        );
        let names = self.lanes.names();
        let levels = names.len();
        for (n, line) in names.iter().enumerate() {
            let line = match n + 1 == levels && line.starts_with(&" ".repeat(TIME)) {
                true => format!("{:>8}{}", "ms", &line[8..]),
                false => line.clone(),
            };
            let line = self.paint.clean(&line);
            self.line(&line);
        }
    }

    /// A packet or a gap.
    pub(super) fn row(&mut self, row: &Row<'a>) {
        match row {
            Row::Packet(packet) => self.packet(packet),
            Row::Gap(gap) => self.gap(gap),
        }
    }

    /// The cause, the packet that shows it, and what to try next.
    pub(super) fn cause(&mut self) {
        let Some(cause) = &self.trace.cause else {
            return;
        };
        self.line("");
        self.paragraph(STRONG, &format!("Cause: {}: {}", cause.code, cause.text));
        let packet = cause.journey.and_then(|id| self.trace.journeys.get(id));
        if let Some(packet) = packet {
            let at = rows::began(packet);
            self.paragraph(
                PLAIN,
                &format!("Shown by the packet at {at:.1} ms: {}", named(packet)),
            );
        }
        if let Some(next) = &cause.next {
            self.paragraph(PLAIN, &format!("Try next: {next}"));
        }
    }

    /// A line as it is.
    pub(super) fn line(&mut self, text: &str) {
        self.out.push_str(text.trim_end());
        self.out.push('\n');
    }

    pub(super) fn text(self) -> String {
        self.out
    }

    fn packet(&mut self, packet: &Packet<'a>) {
        let journey = packet.journey;
        let mut lines = Vec::new();
        let what = match packet.answers {
            true => format!("{}, about the packet above", journey.what),
            false => self.what(journey),
        };
        let style = if packet.answers { WARNING } else { PLAIN };
        self.tell(&mut lines, style, &what);
        if !packet.answers {
            if let Some(ends) = self.new_ends(journey) {
                self.tell(&mut lines, FAINT, &ends);
            }
            for change in self.changes.made_by(journey) {
                self.tell(&mut lines, CHANGE, &change.to_string());
            }
        }
        if journey.end.how != How::Delivered {
            self.tell(&mut lines, BAD, &end(journey));
        }
        if packet.telling {
            self.tell(&mut lines, STRONG, "This packet shows the cause.");
        }
        if packet.more.count > 0 {
            let more = more(&packet.more, journey);
            self.tell(&mut lines, FAINT, &more);
        }
        let time = format!("{:>8.1} ", rows::began(journey));
        self.rungs(&time, &self.lanes.arrow(journey), &lines);
    }

    fn gap(&mut self, gap: &Gap) {
        let what = match gap.source.as_str() {
            "nflog" => "Reports of rules",
            "tables" => "Changes of the NAT's tables",
            _ => "Packets",
        };
        let lost = match gap.lost {
            Some(lost) => format!(": {lost}"),
            None => String::new(),
        };
        let text = format!(
            "{what} may be missing at {} from here on ({}){lost}",
            gap.node, gap.source
        );
        let mut lines = Vec::new();
        self.tell(&mut lines, WARNING, &text);
        let time = format!("{:>8.1} ", gap.t_ms);
        self.rungs(&time, &self.lanes.empty(), &lines);
    }

    /// What the packet carries.
    fn what(&self, journey: &Journey) -> String {
        let opener = match journey.sightings.first() {
            Some(first) if way::is_opener(journey) => format!("opener (TTL {}): ", first.ttl),
            _ => String::new(),
        };
        let again = match journey.retransmission_of {
            Some(_) => ", again",
            None => "",
        };
        let way = match self.lanes.width() {
            0 => format!("{}: ", way::nodes(journey).join(" → ")),
            _ => String::new(),
        };
        format!("{way}{opener}{}{again}", named(journey))
    }

    /// Source and destination, unless a packet between them has been shown, there or back.
    fn new_ends(&mut self, journey: &Journey) -> Option<String> {
        let pair = |(src, dst): (SocketAddr, SocketAddr)| [src.min(dst), src.max(dst)];
        let (src, dst) = journey.sightings.first().map(way::ends)?;
        let known = self.shown.contains(&pair((src, dst)));
        let all = journey.sightings.iter().map(|it| pair(way::ends(it)));
        self.shown.extend(all);
        let end = |it: SocketAddr| match journey.protocol.as_str() {
            "icmp" => it.ip().to_string(),
            _ => it.to_string(),
        };
        (!known).then(|| format!("{} → {}", end(src), end(dst)))
    }

    /// Adds a text to the lines beside the lanes.
    fn tell(&self, lines: &mut Vec<(Style, String)>, style: Style, text: &str) {
        let room = self.width - TIME - self.lanes.width() - 1;
        let text = self.paint.clean(text);
        lines.extend(wrap(&text, room, 2).into_iter().map(|line| (style, line)));
    }

    /// The first line with the time and the arrow, the others with the lanes alone.
    fn rungs(&mut self, time: &str, arrow: &str, lines: &[(Style, String)]) {
        let empty = self.lanes.empty();
        for (n, (style, text)) in lines.iter().enumerate() {
            let (time, lanes) = match n {
                0 => (time, arrow),
                _ => ("", &*empty),
            };
            let line = format!(
                "{}{} {}",
                self.paint.styled(FAINT, &format!("{time:<TIME$}")),
                if n == 0 {
                    lanes.to_owned()
                } else {
                    self.paint.styled(FAINT, lanes)
                },
                self.paint.styled(*style, text)
            );
            self.line(&line);
        }
    }

    /// A text over the whole width.
    fn paragraph(&mut self, style: Style, text: &str) {
        let text = self.paint.clean(text);
        for line in wrap(&text, self.width, 2) {
            debug_assert!(width(&line) <= self.width);
            let line = self.paint.styled(style, &line);
            self.line(&line);
        }
    }
}

/// What it carries; plain data by the service that has its port.
fn named(journey: &Journey) -> String {
    let port = journey.sightings.first().map(|first| first.dst.port());
    let service = match port {
        Some(5351) => "asks the router for a port mapping (NAT-PMP or PCP)",
        Some(1900) => "looks for a router with UPnP",
        _ => return journey.what.clone(),
    };
    match journey.what.starts_with("data (") {
        true => service.to_owned(),
        false => journey.what.clone(),
    }
}

/// How the packet ended, unless it arrived.
fn end(journey: &Journey) -> String {
    let end = &journey.end;
    let code = match (&end.reason, end.how) {
        (_, How::TtlExceeded) if way::is_opener(journey) => {
            return format!("✗ as an opener should: {}", end.text);
        }
        (Some(reason), _) => reason,
        (None, How::Unknown) => return format!("? {}", end.text),
        (None, _) => return format!("✗ {}", end.text),
    };
    format!("✗ {code}: {}", end.text)
}

/// How many repeated the packet, until when, and with which end.
fn more(more: &More, journey: &Journey) -> String {
    let ports = match more.ports() {
        (1, 1) => String::new(),
        (1, to) => format!(", to {to} ports in all"),
        (from, 1) => format!(", from {from} ports in all"),
        (from, to) => format!(", from {from} ports to {to} ports in all"),
    };
    let end = match (&journey.end.reason, journey.end.how) {
        (_, How::Delivered) => String::new(),
        (_, How::Unknown) => ", all not seen again".to_owned(),
        (Some(reason), _) => format!(", all ✗ {reason}"),
        (None, _) => ", all with the same end".to_owned(),
    };
    format!(
        "⋮ {} more like it until {:.1} ms{ports}{end}",
        more.count, more.last_ms
    )
}
