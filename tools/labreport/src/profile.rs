//! From natprobe's report to a type of the lab: the NAT that somebody measured,
//! rebuilt.

use std::path::Path;

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use crate::{Verdict, say};

/// Prints the type behind the report in that file.
///
/// # Errors
/// When there is no report there, or no such type: why not.
pub fn run(file: &Path) -> anyhow::Result<Verdict> {
    let shown = file.display();
    let report =
        std::fs::read_to_string(file).with_context(|| format!("cannot read the report {shown}"))?;
    let report: Value = serde_json::from_str(&report)
        .with_context(|| format!("{shown} is not a natprobe report"))?;
    let known = |key: &str| !report[key].is_null();
    ensure!(
        known("class") || known("nat"),
        "{shown} is not a natprobe report, or one that could not tell"
    );
    let spec = spec(&report).with_context(|| format!("the lab cannot be the NAT of {shown}"))?;
    say(&format!("{spec}\n")).map(|()| Verdict::Yes)
}

/// `TYPE[,KEY=VALUE…]`.
fn spec(report: &Value) -> anyhow::Result<String> {
    let text = |value: &'_ Value| value.as_str().map(str::to_owned);
    match report["class"].as_str() {
        Some("udp-blocked") => return Ok("udp-blocked".into()),
        Some("open") => return Ok("open".into()),
        Some("firewall") => {
            let filtering = report["filtering"]
                .as_str()
                .unwrap_or("in a way that was not tested");
            ensure!(
                filtering == "address-and-port-dependent",
                "no firewall of the lab filters {filtering}"
            );
            return Ok("firewall".into());
        }
        _ => {}
    }
    let mapping = text(&report["mapping"]).context("it leaves the mapping untested")?;
    let filtering = text(&report["filtering"]).context("it leaves the filtering untested")?;
    let ports = text(&report["allocation"]["policy"]);
    let ports = ports.context("it leaves the allocation of ports untested")?;
    let ports = if ports == "preserving" {
        "preserve"
    } else {
        &ports
    };
    let (cone, strict) = ("endpoint-independent", "address-and-port-dependent");

    let mut spec = if report["remaps_after_early_inbound"] == true {
        ensure!(
            ports == "preserve" && filtering == strict,
            "the one NAT of the lab that remaps after early packets is masquerade, which keeps \
             ports and filters by address and port"
        );
        "masquerade".to_owned()
    } else if report["path"]["nats_in_series"] == true {
        ensure!(
            ports == "block" && mapping == cone && filtering == strict,
            "the one pair of NATs of the lab is cgnat: endpoint-independent mapping, a block of \
             ports, filtering by address and port"
        );
        "cgnat".to_owned()
    } else {
        let mut spec = format!("full-cone,ports={ports}");
        for (axis, found) in [("mapping", &mapping), ("filtering", &filtering)] {
            if found != cone {
                spec += &format!(",{axis}={found}");
            }
        }
        if report["hairpin"]["works"] == true {
            spec += ",hairpin=on";
        }
        spec
    };
    // A pool is what was seen of it: a report with one address may have missed the others.
    let pool = report["public_addresses"].as_array().map_or(0, Vec::len);
    if pool > 1 {
        if pool > 2 || !spec.starts_with("full-cone") {
            bail!(
                "it saw a pool of {pool} addresses, and the pools of the lab have two, behind one NAT"
            );
        }
        spec += ",addresses=2";
    }
    // The silence that ended a mapping ends it here, too, and the one before does not.
    if let Some(seconds) = report["lifetime"]["dead_s"].as_u64() {
        spec += &format!(",timeout={seconds}s");
    }
    Ok(spec)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn report(more: Value) -> Value {
        let mut report = json!({"class": "full-cone", "nat": true,
            "mapping": "endpoint-independent", "filtering": "endpoint-independent",
            "allocation": {"policy": "preserving"}});
        for (key, value) in more.as_object().unwrap() {
            report[key] = value.clone();
        }
        report
    }

    #[test]
    fn each_finding_becomes_an_override() {
        let strict = "address-and-port-dependent";
        for (more, wanted) in [
            (json!({}), "full-cone,ports=preserve"),
            (json!({"class": "open"}), "open"),
            (
                json!({"class": "udp-blocked", "mapping": null}),
                "udp-blocked",
            ),
            (
                json!({"class": "firewall", "filtering": strict}),
                "firewall",
            ),
            (
                json!({"filtering": "address-dependent", "hairpin": {"works": true}}),
                "full-cone,ports=preserve,filtering=address-dependent,hairpin=on",
            ),
            (
                json!({"mapping": strict, "filtering": strict, "allocation": {"policy": "random"}}),
                "full-cone,ports=random,mapping=address-and-port-dependent,filtering=address-and-port-dependent",
            ),
            (
                json!({"remaps_after_early_inbound": true, "filtering": strict, "lifetime": {"dead_s": 3}}),
                "masquerade,timeout=3s",
            ),
            (
                json!({"path": {"nats_in_series": true}, "filtering": strict, "allocation": {"policy": "block"}}),
                "cgnat",
            ),
            (
                json!({"public_addresses": ["203.0.113.17", "203.0.113.18"]}),
                "full-cone,ports=preserve,addresses=2",
            ),
        ] {
            assert_eq!(spec(&report(more)).unwrap(), wanted);
        }
    }

    #[test]
    fn what_the_lab_cannot_be_is_refused_with_the_reason() {
        for (more, says) in [
            (json!({"filtering": null}), "filtering untested"),
            (json!({"mapping": null}), "mapping untested"),
            (json!({"allocation": null}), "allocation of ports untested"),
            (
                json!({"class": "firewall", "filtering": "address-dependent"}),
                "no firewall",
            ),
            (json!({"remaps_after_early_inbound": true}), "masquerade"),
            (json!({"path": {"nats_in_series": true}}), "cgnat"),
            (json!({"public_addresses": ["1", "2", "3"]}), "a pool of 3"),
        ] {
            let error = spec(&report(more)).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
