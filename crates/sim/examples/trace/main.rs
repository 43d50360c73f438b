//! A call of the simulator, and what became of each of its packets.

#![allow(clippy::print_stdout, clippy::print_stderr)]

#[path = "../../../peer-proto/tests/world/mod.rs"]
mod world;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use nat::plan::Limits;
use sim::Profile;

const HELP: &str = "\
trace A B [--seed N] [--loss P] [--trace FILE]

alice behind a NAT of type A calls bob behind one of type B, with the protocols of punch
and rendezvous in a simulated network. FILE gets what became of each packet: a page for a
browser if it is called .html, and JSON otherwise, as of the lab's --trace. The same seed
gives the same packets.

  --seed N       [1]
  --loss P       packets lost at the core, each way, in percent [0]
  --trace FILE   [trace.html]";

/// What punch allows itself in the lab.
const LIMITS: Limits = Limits {
    pps: 4000,
    probes: 4000,
    ..Limits::POLITE
};

struct Task {
    types: [Profile; 2],
    seed: u64,
    loss: f64,
    file: PathBuf,
}

fn main() -> ExitCode {
    let task = match parse(std::env::args().skip(1)) {
        Ok(Some(task)) => task,
        Ok(None) => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(why) => {
            eprintln!("trace: {why} (--help says more)");
            return ExitCode::from(2);
        }
    };
    let [a, b] = task.types;
    let mut world = world::two_measured_homes(task.seed, a, b, Some(LIMITS));
    world.network.record();
    world.network.set_loss(task.loss);
    world.run(Duration::from_secs(60));
    for peer in &world.peers {
        match (peer.path(), peer.cause()) {
            (Some(path), _) => println!("{}: a path to {}", peer.name, path.remote),
            (None, Some(cause)) => println!("{}: no path: {}", peer.name, cause.code()),
            (None, None) => println!("{}: no path within a minute", peer.name),
        }
    }
    match world.write(&task.file) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("trace: cannot write {}: {why}", task.file.display());
            ExitCode::from(2)
        }
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<Task>, String> {
    let (mut types, mut seed, mut loss) = (Vec::new(), 1, 0.0);
    let mut file = PathBuf::from("trace.html");
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} wants a value"));
        let number = |text: &str| format!("{word} {text}: not a number");
        match word.as_str() {
            "--help" => return Ok(None),
            "--trace" => file = value()?.into(),
            "--seed" => {
                let text = value()?;
                seed = text.parse().map_err(|_| number(&text))?;
            }
            "--loss" => {
                let text = value()?;
                let percent = text.parse().map_err(|_| number(&text))?;
                let good = (0.0..=100.0).contains(&percent);
                loss = good
                    .then_some(percent)
                    .ok_or(format!("{word} {text}: 0 to 100"))?;
            }
            option if option.starts_with('-') => {
                return Err(format!("there is no option {option}"));
            }
            name => types.push(Profile::named(name).ok_or_else(|| {
                let names = Profile::NAMES.join(", ");
                format!("there is no type {name}; there are {names}")
            })?),
        }
    }
    let types = <[Profile; 2]>::try_from(types);
    let types = types.map_err(|_| "two NAT types are wanted, alice's and bob's".to_owned())?;
    Ok(Some(Task {
        types,
        seed,
        loss,
        file,
    }))
}
