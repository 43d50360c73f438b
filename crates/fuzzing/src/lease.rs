//! The life of a port mapping, at a gateway that grants anything.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use gateway_proto::lease::{
    Action, Config, Event, Grant, Lease, MAX_LIFETIME, MappingProtocol, NoMapping,
};

use crate::input::{Choices, at};

pub(crate) fn lease(data: &[u8]) {
    let mut choices = Choices::new(data);
    let usual = ["203.0.113.17:5000", "10.0.0.1:5000", "203.0.113.17:0"].map(at);
    let observed: Vec<IpAddr> = match choices.byte() % 2 {
        0 => Vec::new(),
        _ => vec![usual[1].ip()],
    };
    let config = Config {
        lifetime: Duration::from_secs(choices.short().into()),
        observed: observed.clone(),
        ..Config::default()
    };
    let mut now = Instant::now();
    let mut lease = Lease::new(config);
    // What the driver is doing; it reports each end, in any order.
    let mut doing: Vec<Action> = Vec::new();
    let mut closed = false;
    while !choices.is_empty() {
        doing.extend(std::iter::from_fn(|| lease.poll_action()));
        assert!(
            doing.len() <= 12,
            "more at once than one of each kind: {doing:?}"
        );
        while let Some(event) = lease.poll_event() {
            if let Event::Mapped(mapped) = event {
                check(mapped.external, &observed);
                assert!(mapped.lifetime <= MAX_LIFETIME);
            }
        }
        match choices.byte() % 8 {
            0 => now += Duration::from_secs(choices.short().into()),
            1 => {
                now = lease.poll_timeout().map_or(now, |at| at.max(now));
                lease.handle_timeout(now);
                let next = lease.poll_timeout();
                assert!(
                    next.is_none_or(|next| next > now),
                    "it would be called at once"
                );
            }
            2 if choices.byte() > 200 => {
                lease.close();
                closed = true;
            }
            _ if doing.is_empty() => {}
            _ => {
                let action = doing.swap_remove(usize::from(choices.byte()) % doing.len());
                end(&mut lease, now, action, &mut choices, &usual);
            }
        }
    }
    // All that it has begun ends, and then it is closed.
    lease.close();
    for _ in 0..32 {
        doing.extend(std::iter::from_fn(|| lease.poll_action()));
        for action in std::mem::take(&mut doing) {
            end(&mut lease, now, action, &mut choices, &usual);
        }
    }
    assert!(lease.is_closed(), "closed before: {closed}");
    assert_eq!(lease.poll_timeout(), None);
}

fn check(external: SocketAddr, observed: &[IpAddr]) {
    let fine = !nat::is_private(external.ip()) || observed.contains(&external.ip());
    assert!(external.port() != 0 && fine, "{external}");
}

fn end(
    lease: &mut Lease,
    now: Instant,
    action: Action,
    choices: &mut Choices<'_>,
    usual: &[SocketAddr],
) {
    let protocol = |choices: &mut Choices<'_>, asked| match choices.byte() {
        0..=250 => asked,
        _ => choices.of(&MappingProtocol::ALL),
    };
    match action {
        Action::Find(asked) => match choices.flag() {
            true => lease.handle_found(now, protocol(choices, asked)),
            false => lease.handle_missing(now, protocol(choices, asked), NoMapping::Silent),
        },
        Action::Map {
            protocol: asked, ..
        } => match choices.flag() {
            true => {
                let grant = Grant {
                    external: choices.address(usual),
                    lifetime: Duration::from_secs(choices.word().into()),
                };
                lease.handle_granted(now, asked, grant);
            }
            false => lease.handle_failed(now, asked, NoMapping::Silent),
        },
        Action::Release(_) => lease.handle_released(now),
    }
}
