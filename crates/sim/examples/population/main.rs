//! The brains of the tools against a whole population of NATs, in memory.
//!
//! ```sh
//! cargo run --release -p pinhole-sim --example population -- --pairs 1000000 --seed 1
//! ```

#![allow(clippy::print_stdout, clippy::print_stderr)]

mod meeting;
mod people;
mod tally;

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use meeting::meet;
use nat::plan::{Limits, Strategy};
use people::Population;
use tally::Tally;

const HELP: &str = "\
Draws pairs of peers from a population of NATs, lets each pair meet in a simulated
network, with the brains of punch and rendezvous, and counts how they end.

  --pairs N         how many [10000]
  --seed N          the same seed gives the same table, on any number of cores [1]
  --threads N       [all cores]
  --budget N        ports that each side guesses at most [2000]
  --max-pps N       guesses a second [200]
The population, in percent; docs/explanation/punching.md has the sources:
  --symmetric P     NATs that give every destination another port [18]
  --sequential P    of these: those that count their ports [52]
  --block P         of these: those that draw them from a block of 512 [0]
  --masquerade P    of the stable ones that filter by port: those that take offence at an
                    early packet [50]
  --blocked P       networks without UDP [0]
  --loss P          packets lost, each way [1]
  --neighbours N    mappings a second that others behind a counting NAT make [2]";

/// Pairs that a core takes at once.
const CHUNK: u64 = 200;

struct Task {
    pairs: u64,
    seed: u64,
    threads: usize,
    limits: Limits,
    population: Population,
}

fn main() -> ExitCode {
    let task = match parse(std::env::args().skip(1)) {
        Ok(Some(task)) => task,
        Ok(None) => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(why) => {
            eprintln!("population: {why} (--help says more)");
            return ExitCode::from(2);
        }
    };
    let start = Instant::now();
    let tally = run(&task);
    let seconds = start.elapsed().as_secs_f64();
    println!("{tally}");
    let percent = |share: f64| format!("{:.2} %", 100.0 * share);
    let guessed = [
        Strategy::Predict,
        Strategy::Spray,
        Strategy::BlockSpray,
        Strategy::Exhaustive,
    ];
    let guessed: f64 = guessed.iter().map(|&by| tally.direct(Some(by))).sum();
    println!(
        "direct {}: {} without guessing a port, {} by guessing; relayed {}; failed {}",
        percent(tally.direct(None)),
        percent(tally.direct(Some(Strategy::Plain))),
        percent(guessed),
        percent(tally.relayed()),
        percent(tally.failed()),
    );
    println!(
        "published for direct: libp2p 70 % ± 7.1 (4.4 million attempts, 2025); \
         Ford 82 % (of NATs, 2005); Tailscale and iroh above or about 90 %"
    );
    eprintln!(
        "{} pairs, each simulated, in {seconds:.0} s: {:.0} a second on {} threads",
        tally.pairs(),
        tally.pairs() as f64 / seconds,
        task.threads,
    );
    ExitCode::SUCCESS
}

fn run(task: &Task) -> Tally {
    let (next, done) = (AtomicU64::new(0), AtomicU64::new(0));
    let work = || {
        let mut tally = Tally::default();
        loop {
            let first = next.fetch_add(CHUNK, Ordering::Relaxed);
            if first >= task.pairs {
                return tally;
            }
            let last = (first + CHUNK).min(task.pairs);
            for number in first..last {
                tally.add(&one(task, number));
            }
            let before = done.fetch_add(last - first, Ordering::Relaxed);
            let tenth = |pairs: u64| pairs * 20 / task.pairs;
            if tenth(before) != tenth(before + last - first) {
                eprintln!("{} of {}", before + last - first, task.pairs);
            }
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..task.threads).map(|_| scope.spawn(work)).collect();
        let mut all = Tally::default();
        for thread in threads {
            all.merge(thread.join().expect("a simulation does not panic"));
        }
        all
    })
}

fn one(task: &Task, number: u64) -> meeting::Outcome {
    let Population {
        loss, neighbours, ..
    } = task.population;
    let pair = task.population.pair(task.seed, number);
    meet(&pair, loss, neighbours, task.limits)
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<Task>, String> {
    let mut task = Task {
        pairs: 10_000,
        seed: 1,
        threads: std::thread::available_parallelism().map_or(1, Into::into),
        limits: Limits::POLITE,
        population: Population::default(),
    };
    while let Some(word) = words.next() {
        if word == "--help" {
            return Ok(None);
        }
        let text = words
            .next()
            .ok_or_else(|| format!("{word} wants a value"))?;
        let bad = |_| format!("{word} {text}: not a number");
        let whole = || text.parse::<u64>().map_err(|e| bad(e.to_string()));
        let part = || {
            let percent = text.parse::<f64>().map_err(|e| bad(e.to_string()))?;
            let good = (0.0..=100.0).contains(&percent);
            good.then_some(percent)
                .ok_or(format!("{word} {text}: 0 to 100"))
        };
        let people = &mut task.population;
        match word.as_str() {
            "--pairs" => task.pairs = whole()?.max(1),
            "--seed" => task.seed = whole()?,
            "--threads" => task.threads = whole()?.clamp(1, 1024) as usize,
            "--budget" => task.limits.probes = whole()? as u32,
            "--max-pps" => task.limits.pps = whole()? as u32,
            "--symmetric" => people.symmetric = part()?,
            "--sequential" => people.sequential = part()?,
            "--block" => people.block = part()?,
            "--masquerade" => people.masquerade = part()?,
            "--blocked" => people.blocked = part()?,
            "--loss" => people.loss = part()?,
            "--neighbours" => people.neighbours = part()?,
            _ => return Err(format!("there is no option {word}")),
        }
    }
    Ok(Some(task))
}
