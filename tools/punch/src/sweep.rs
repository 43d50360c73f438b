//! How far our packets to the peer come, where there is no path: by packets whose TTL expires.

use std::net::SocketAddr;
use std::time::Instant;

use discover::{Reach, Sweep, SweepReport};
use peer_proto::client::Relation;

use crate::args::Args;
use crate::attempt::{Ended, Introduction};
use crate::report::{Outcome, WIDTH};

/// How far they come, and where they go.
pub struct Swept {
    pub to: SocketAddr,
    pub report: SweepReport,
}

/// Sweeps towards the peer, if there is no path to it and --share or --trace asks what happened. A
/// stranger gets no packets for it. That it fails is said, and nothing else.
pub async fn sweep(
    args: &Args,
    ended: &Ended,
    introduction: Option<&Introduction>,
) -> Option<Swept> {
    let wanted = (args.share || args.trace.is_some()) && !args.tcp && !args.paths.relay_only;
    let failed = matches!(ended.outcome, Outcome::Failed(_));
    let known = introduction.filter(|it| it.relation == Relation::Known);
    let to = known.filter(|_| wanted && failed).map(|it| it.address)?;
    match towards(to).await {
        Ok(swept) => swept,
        Err(error) => {
            cli::stderr::line(format_args!(
                "punch: cannot find out how far packets to {to} come: {error}"
            ));
            None
        }
    }
}

async fn towards(to: SocketAddr) -> Result<Option<Swept>, net::discover::Error> {
    let sweep = Sweep::new(Instant::now(), to, net::discover::seed()?);
    let measured = net::discover::measure(to, sweep).await?;
    Ok(measured.report().map(|report| Swept { to, report }))
}

impl Swept {
    /// For people.
    pub fn text(&self) -> String {
        let hops = self.report.hops.iter();
        let hops = hops.map(|hop| hop.map_or("*".into(), |hop| hop.to_string()));
        let way = match self.report.hops.len() {
            0 => "no router on the way says so".into(),
            _ => hops.collect::<Vec<_>>().join(", "),
        };
        let last = self.report.hops.iter().copied().flatten().last();
        let last = last.map_or("us".into(), |last| last.to_string());
        let refused = self.report.refused;
        let meaning = match (refused, self.report.reach) {
            (Some((who, why)), _) => format!("{who} refuses them: {why}."),
            (None, Reach::Unknown) => "So nothing is known of where they end.".into(),
            (None, Reach::OwnNetwork) => format!(
                "They come as far as {last}, which is in our own network: it or its successor drops \
                 them, unless the routers behind it send no ICMP errors."
            ),
            (None, Reach::Core) => format!(
                "They leave our network and come as far as {last}. Behind it the peer's NAT or a \
                 firewall drops them, unless the routers there send no ICMP errors."
            ),
            (None, Reach::Peer) => "They come to the peer's own address.".into(),
        };
        let said = format!(
            "Where the TTL of packets to {} runs out: {way}. {meaning}",
            self.to
        );
        textwrap::fill(&said, WIDTH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_how_far_they_come_and_who_refuses_them() {
        let text = |hops: &[Option<&str>], refused, reach| {
            let hop = |hop: &Option<&str>| hop.map(|hop| hop.parse().unwrap());
            let report = SweepReport {
                hops: hops.iter().map(hop).collect(),
                refused,
                reach,
            };
            let to = "203.0.113.33:40001".parse().unwrap();
            Swept { to, report }.text().replace('\n', " ")
        };
        let core = text(&[None, Some("203.0.113.254")], None, Reach::Core);
        assert!(core.contains("runs out: *, 203.0.113.254. They leave our network and come as far as 203.0.113.254."), "{core}");
        let own = text(&[Some("192.168.1.1")], None, Reach::OwnNetwork);
        assert!(
            own.contains("as far as 192.168.1.1, which is in our own network"),
            "{own}"
        );
        assert!(text(&[], None, Reach::Unknown).contains("nothing is known"));
        let refused = Some((
            "203.0.113.254".parse().unwrap(),
            stun::IcmpReason::Prohibited,
        ));
        let refused = text(&[Some("192.168.1.1")], refused, Reach::Core);
        assert!(
            refused.ends_with("203.0.113.254 refuses them: administratively prohibited."),
            "{refused}"
        );
    }
}
