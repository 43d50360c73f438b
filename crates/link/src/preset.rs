//! Kinds of links, by observation.

/// A kind of link. The delay is that of the access link alone: half of a round trip to a near
/// server.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// Its name.
    pub name: &'static str,
    /// What it does, as words that [`Link`](crate::Link) reads.
    pub settings: &'static str,
    /// Who has observed that, and what.
    pub source: &'static str,
}

/// All kinds, the fastest first. The delay is that of an ordinary one of its kind, after what was
/// observed; the loss, and the rates where the source has none, are our choice. None has an MTU:
/// routers report theirs or clamp TCP's, which a link that drops does not.
pub const PRESETS: [Preset; 8] = [
    Preset {
        name: "fibre",
        settings: "delay:5ms,jitter:500us,loss:0.05%,rate:300mbit,queue:50ms",
        source: FIRST_HOPS,
    },
    Preset {
        name: "cable",
        settings: "delay:9ms,jitter:2ms,loss:0.1%,down-rate:200mbit,up-rate:10mbit,queue:150ms",
        source: FIRST_HOPS,
    },
    Preset {
        name: "dsl",
        settings: "delay:15ms,jitter:1ms,loss:0.2%,down-rate:20mbit,up-rate:2mbit,queue:300ms",
        source: FIRST_HOPS,
    },
    Preset {
        name: "wifi",
        settings: "delay:10ms,jitter:8ms,loss:1%,burst:3,rate:50mbit,queue:200ms",
        source: "\"WiFi can be the weakest link of round trip network latency in the wild\" \
                 (INFOCOM 2016): half of the packets on a campus took more than 20 ms over the \
                 first hop and back",
    },
    Preset {
        name: "4g",
        settings: "delay:20ms,jitter:8ms,loss:0.2%,burst:3,down-rate:35mbit,up-rate:10mbit,queue:300ms",
        source: "Ookla, United States, second quarter of 2019: round trips of 31 to 39 ms on average",
    },
    Preset {
        name: "5g",
        settings: "delay:15ms,jitter:5ms,loss:0.1%,burst:3,down-rate:166mbit,up-rate:21mbit,queue:150ms",
        source: "Ookla, the world, third quarter of 2021: medians of 166 mbit down and 21 mbit up; \
                 \"Third-Party Assessment of Mobile Performance in the 5G Era\" (2025): a twentieth \
                 of the users have round trips below 20 ms",
    },
    Preset {
        name: "satellite-leo",
        settings: "delay:25ms,jitter:10ms,loss:1%,burst:10,down-rate:180mbit,up-rate:20mbit,queue:150ms",
        source: "\"Fact checking Starlink's performance figures\" (APNIC 2022): half of the round \
                 trips between 40 and 60 ms; \"A browser-side view of Starlink connectivity\" (IMC \
                 2022): losses in bursts at handovers",
    },
    Preset {
        name: "satellite-geo",
        settings: "delay:300ms,jitter:10ms,loss:0.5%,burst:5,down-rate:100mbit,up-rate:10mbit,queue:500ms",
        source: "\"Testing LEO and GEO satellite services in Australia\" (APNIC 2022): round trips \
                 of about 600 ms; \"Fact checking Starlink's performance figures\" (APNIC 2022): a \
                 line of 100 mbit down and 10 mbit up",
    },
];

const FIRST_HOPS: &str = "gist.github.com/kralo/811f6e427233bba71d0ce2487c64d905 (2023): first \
    hops of lines in Germany and back, 1.5 ms by GPON fibre, 7.5 ms by DOCSIS cable, 20 ms by ADSL \
    with interleaving; and about 9 ms more to a near server and back";
