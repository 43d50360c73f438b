//! A NAT type as the lab asked for it, in plain words `KEY=VALUE`.

use std::str::FromStr;

use nat::plan::{Limits, Ports, Side};
use nat::{Behaviour, Class, Dependence, PortAssignment};
use serde::de::value::{Error as ValueError, StrDeserializer};
use serde::de::{Deserialize, IntoDeserializer};
use serde_json::{Value, json};

/// The ports that `sequential` and `block` types assign (lab/nat/ports).
const RANGE: [u16; 2] = [40000, 40511];

/// The behaviour that a type declares, overrides included.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// As it was typed: `full-cone,ports=random`.
    pub spec: String,
    class: Class,
    /// `None`: there is no translation, or no UDP.
    mapping: Option<Dependence>,
    /// `None`: no UDP gets through.
    filtering: Option<Dependence>,
    /// `None`: any port may come next.
    ports: Option<PortAssignment>,
    translates: bool,
    remaps_early: bool,
    maps_ports: bool,
}

impl Asked {
    /// The axes that a measurement has to confirm; `None` is not compared.
    pub fn axes(&self) -> (Class, Option<Dependence>, Option<Dependence>) {
        (self.class, self.mapping, self.filtering)
    }

    /// Whether it remaps after early packets.
    pub fn remaps_early(&self) -> bool {
        self.remaps_early
    }

    /// What the oracle needs to know of it.
    pub fn behaviour(&self) -> Behaviour {
        Behaviour {
            nat: Some(self.translates),
            // Without translation, every destination sees one address.
            mapping: self.mapping.or_else(|| {
                let passes = self.filtering.is_some();
                passes.then_some(Dependence::EndpointIndependent)
            }),
            filtering: self.filtering,
            udp_blocked: self.class == Class::UdpBlocked,
        }
    }

    /// What the planner needs to know of it.
    pub fn side(&self, limits: Limits) -> Side {
        Side {
            behaviour: self.behaviour(),
            ports: match self.ports {
                Some(PortAssignment::Sequential) => Ports::Sequential(1),
                Some(PortAssignment::Block) => Ports::Block(RANGE[0], RANGE[1]),
                _ => Ports::Any,
            },
            remaps: Some(self.remaps_early),
            mapped: self.maps_ports,
            limits,
        }
    }

    /// In the shape of a natprobe report, so that `punch --plan` reads it too.
    pub fn to_json(&self) -> Value {
        let behaviour = self.behaviour();
        let mut report = json!({
            "type": self.spec,
            "class": self.class,
            "mapping": behaviour.mapping,
            "filtering": behaviour.filtering,
            "nat": self.translates,
            "remaps_after_early_inbound": self.remaps_early,
            "port_mapping": {"agrees": self.maps_ports},
        });
        match self.ports {
            Some(policy @ PortAssignment::Sequential) => {
                report["allocation"] = json!({"policy": policy, "step": 1, "range": RANGE});
            }
            Some(policy @ PortAssignment::Block) => {
                report["allocation"] = json!({"policy": policy, "range": RANGE});
            }
            _ => {}
        }
        report
    }
}

impl FromStr for Asked {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut asked = Self {
            spec: String::new(),
            class: Class::Open,
            mapping: None,
            filtering: None,
            ports: None,
            translates: true,
            remaps_early: false,
            maps_ports: false,
        };
        let mut class = None;
        for word in text.split_whitespace() {
            let (key, value) = word
                .split_once('=')
                .ok_or_else(|| format!("{word:?} is not KEY=VALUE"))?;
            match key {
                "type" => asked.spec = value.into(),
                "class" => class = Some(named(key, value)?),
                "mapping" => asked.mapping = axis(key, value)?,
                "filtering" => asked.filtering = axis(key, value)?,
                "ports" => {
                    asked.ports = match value {
                        "preserve" | "none" | "" => None,
                        value => Some(named(key, value)?),
                    }
                }
                "hosts" => asked.translates = !choice(word, "public", ["private", ""])?,
                "upnp" => asked.maps_ports = choice(word, "on", ["off", "none", ""])?,
                "early" => asked.remaps_early = choice(word, "remapped", ["harmless", ""])?,
                _ => return Err(format!("there is no key {key:?}")),
            }
        }
        asked.class = class.ok_or("the class is missing")?;
        if asked.spec.is_empty() {
            return Err("the type is missing".into());
        }
        Ok(asked)
    }
}

/// A value by the name that it has in reports.
fn named<'de, T: Deserialize<'de>>(key: &str, value: &'de str) -> Result<T, String> {
    let name: StrDeserializer<'_, ValueError> = value.into_deserializer();
    T::deserialize(name).map_err(|error| format!("{key}: {error}"))
}

fn axis(key: &str, value: &str) -> Result<Option<Dependence>, String> {
    match value {
        "none" => Ok(None),
        value => named(key, value).map(Some),
    }
}

/// Whether the word's value is `yes`, and not one of `no`.
fn choice<const N: usize>(word: &str, yes: &str, no: [&str; N]) -> Result<bool, String> {
    let (key, value) = word.split_once('=').unwrap_or((word, ""));
    match value {
        value if value == yes => Ok(true),
        value if no.contains(&value) => Ok(false),
        _ => Err(format!("{key} is {yes} or {}, not {value:?}", no[0])),
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub const CONE: &str = "type=full-cone class=full-cone mapping=endpoint-independent \
                            filtering=endpoint-independent ports=preserve hosts= upnp=off early=";
    pub const RESTRICTED: &str = "type=restricted class=restricted mapping=endpoint-independent \
                                  filtering=address-dependent";
    pub const PORT_RESTRICTED: &str = "type=port-restricted class=port-restricted \
        mapping=endpoint-independent filtering=address-and-port-dependent ports=preserve";
    pub const MASQUERADE: &str = "type=masquerade class=port-restricted mapping=endpoint-independent \
        filtering=address-and-port-dependent ports=preserve early=remapped";
    pub const SYMMETRIC: &str = "type=symmetric class=symmetric \
        mapping=address-and-port-dependent filtering=address-and-port-dependent ports=random";
    pub const OPEN: &str = "type=open class=open mapping=none filtering=endpoint-independent \
                            ports=none hosts=public upnp=none early=";
    pub const BLOCKED: &str = "type=udp-blocked class=udp-blocked mapping=none filtering=none \
                               ports=none hosts= upnp=none early=";

    pub fn asked(words: &str) -> Asked {
        words.parse().unwrap()
    }

    #[test]
    fn a_host_without_translation_has_one_address_for_every_destination() {
        let open = asked(OPEN);
        assert_eq!(open.axes().1, None);
        let expected = Behaviour::untranslated(Dependence::EndpointIndependent);
        assert_eq!(open.behaviour(), expected);
        assert_eq!(open.behaviour().class(), Some(Class::Open));
    }

    #[test]
    fn without_udp_both_axes_are_unknown() {
        let blocked = asked(BLOCKED).behaviour();
        assert!(blocked.udp_blocked);
        assert_eq!((blocked.mapping, blocked.filtering), (None, None));
    }

    #[test]
    fn the_planner_is_told_ports_early_packets_and_port_mapping() {
        let side = |words: &str| asked(&format!("{CONE} {words}")).side(Limits::POLITE);
        assert_eq!(side("").ports, Ports::Any);
        assert_eq!(side("ports=random").ports, Ports::Any);
        assert_eq!(side("ports=sequential").ports, Ports::Sequential(1));
        assert_eq!(side("ports=block").ports, Ports::Block(40000, 40511));
        assert_eq!(side("").remaps, Some(false));
        assert_eq!(side("early=remapped").remaps, Some(true));
        assert!(!side("").mapped);
        assert!(side("upnp=on").mapped);
    }

    #[test]
    fn the_json_reads_back_as_the_same_side() {
        for words in [CONE, SYMMETRIC, OPEN, BLOCKED] {
            for more in ["", "ports=sequential", "ports=block early=remapped upnp=on"] {
                let asked = asked(&format!("{words} {more}"));
                let read: Side = serde_json::from_value(asked.to_json()).unwrap();
                let mut side = asked.side(Limits::POLITE);
                if side.behaviour.udp_blocked {
                    side.behaviour.nat = read.behaviour.nat;
                }
                assert_eq!(read, side, "{words} {more}");
            }
        }
    }

    #[test]
    fn words_that_make_no_sense_are_refused_with_the_reason() {
        for (words, reason) in [
            ("full-cone", "\"full-cone\" is not KEY=VALUE"),
            ("type=open", "the class is missing"),
            ("class=open", "the type is missing"),
            ("class=cone", "class: unknown variant `cone`"),
            ("mapping=some", "mapping: unknown variant `some`"),
            ("ports=odd", "ports: unknown variant `odd`"),
            ("upnp=maybe", "upnp is on or off, not \"maybe\""),
            ("hosts=some", "hosts is public or private, not \"some\""),
            ("speed=9", "there is no key \"speed\""),
        ] {
            let error = words.parse::<Asked>().unwrap_err();
            assert!(error.starts_with(reason), "{words}: {error}");
        }
    }
}
