//! What came of all of them, in one table.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use nat::plan::Strategy;

use crate::meeting::{Outcome, Way};

/// How a pair ended: what was planned, and what carried the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Direct(Strategy),
    /// A guess was planned, and did not hit.
    Missed(Strategy),
    /// Nothing was worth guessing.
    Relayed,
    Failed(&'static str),
}

/// One cell of it: probes and milliseconds of every pair, for the quantiles.
#[derive(Clone, Debug, Default, PartialEq)]
struct Cell {
    probes: Vec<u32>,
    usable: Vec<u32>,
    settled: Vec<u32>,
}

/// All pairs so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    cells: BTreeMap<End, Cell>,
}

impl Tally {
    pub fn add(&mut self, outcome: &Outcome) {
        let end = match (outcome.path, outcome.planned) {
            (Some(Way::Direct), planned) => End::Direct(planned),
            (Some(Way::Relayed), Strategy::Relay) => End::Relayed,
            (Some(Way::Relayed), planned) => End::Missed(planned),
            (None, _) => End::Failed(outcome.cause),
        };
        let ms = |time: Option<Duration>| time.map(|time| time.as_millis() as u32);
        let cell = self.cells.entry(end).or_default();
        cell.probes.push(outcome.probes);
        cell.usable.extend(ms(outcome.usable));
        cell.settled.extend(ms(outcome.settled));
    }

    pub fn merge(&mut self, other: Tally) {
        for (end, cell) in other.cells {
            let sum = self.cells.entry(end).or_default();
            sum.append(cell);
        }
    }

    /// How many pairs.
    pub fn pairs(&self) -> usize {
        self.cells.values().map(|cell| cell.probes.len()).sum()
    }

    /// The part of all pairs that ended with a direct path, by that strategy
    /// alone if one is given.
    pub fn direct(&self, by: Option<Strategy>) -> f64 {
        self.share(|end| matches!(end, End::Direct(s) if by.is_none_or(|by| by == s)))
    }

    /// The part that a relay carries.
    pub fn relayed(&self) -> f64 {
        self.share(|end| matches!(end, End::Relayed | End::Missed(_)))
    }

    /// The part that nothing carries.
    pub fn failed(&self) -> f64 {
        self.share(|end| matches!(end, End::Failed(_)))
    }

    fn share(&self, of: impl Fn(End) -> bool) -> f64 {
        let counted = self.cells.iter().filter(|(end, _)| of(**end));
        let counted: usize = counted.map(|(_, cell)| cell.probes.len()).sum();
        counted as f64 / self.pairs().max(1) as f64
    }
}

impl Cell {
    fn append(&mut self, mut other: Cell) {
        self.probes.append(&mut other.probes);
        self.usable.append(&mut other.usable);
        self.settled.append(&mut other.settled);
    }

    fn row(&self, name: &str, pairs: usize, f: &mut Formatter<'_>) -> fmt::Result {
        let mut sorted = self.clone();
        for list in [&mut sorted.probes, &mut sorted.usable, &mut sorted.settled] {
            list.sort_unstable();
        }
        let sum: u64 = sorted.probes.iter().map(|&n| u64::from(n)).sum();
        let count = sorted.probes.len();
        writeln!(
            f,
            "| {name} | {count} | {:.2} % | {:.0} | {} | {} | {} | {} | {} |",
            100.0 * count as f64 / pairs as f64,
            sum as f64 / count as f64,
            at(&sorted.probes, 0.99),
            at(&sorted.usable, 0.5),
            at(&sorted.usable, 0.99),
            at(&sorted.settled, 0.5),
            at(&sorted.settled, 0.99),
        )
    }
}

fn at(sorted: &[u32], quantile: f64) -> String {
    let index = (sorted.len() as f64 * quantile) as usize;
    let value = sorted.get(index.min(sorted.len().saturating_sub(1)));
    value.map_or("".into(), u32::to_string)
}

impl Display for Tally {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let pairs = self.pairs();
        writeln!(
            f,
            "| how | pairs | share | probes, mean | p99 | ms to any path, median | p99 | ms to the last path, median | p99 |\n\
             |---|--:|--:|--:|--:|--:|--:|--:|--:|"
        )?;
        let mut all = Cell::default();
        for (end, cell) in &self.cells {
            let name = match end {
                End::Direct(strategy) => format!("direct: {}", strategy.name()),
                End::Missed(strategy) => format!("relayed: {} missed", strategy.name()),
                End::Relayed => "relayed: nothing worth guessing".into(),
                End::Failed(cause) => format!("failed: {cause}"),
            };
            cell.row(&name, pairs, f)?;
            all.append(cell.clone());
        }
        all.row("all", pairs, f)
    }
}
