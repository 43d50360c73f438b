complete -c natprobe -l server -l s1 -d 'The server\'s first address [port: 8848] [env: PINHOLE_S1, PINHOLE_SERVER]. An IPv6 address with a port has brackets: [2001:db8::1]:3478' -r
complete -c natprobe -l s2 -d 'The server\'s other address or port, or a second server [default: what the server reports] [env: PINHOLE_S2]' -r
complete -c natprobe -l stun -d 'Ask these STUN servers, each of which may have one address only, and compare the mappings. Filtering is measured with the first one that has another address (RFC 5780) [port: 3478]' -r
complete -c natprobe -l lifetime -d 'Also measure the lifetime of an idle mapping, and what refreshes it. Tests idle times of up to SECONDS at once, and ends when two in a row have ended a mapping' -r
complete -c natprobe -l runs -d 'Measure N times, and report which results differ' -r
complete -c natprobe -l watch -d 'Measure again every SECONDS, and report again when a result changes' -r
complete -c natprobe -l against -d 'Also report whether a punch between this host and the host of that report is expected to connect' -r -F
complete -c natprobe -l timeout -d 'Wait MS milliseconds after the last packet [default: three round trips, at least 150]' -r
complete -c natprobe -l tries -d 'Packets per test at first. Up to five times as many are sent where packets are lost' -r
complete -c natprobe -l json -d 'Print one JSON object'
complete -c natprobe -l hairpin -d 'Also test hairpinning: whether hosts inside reach each other through the outside endpoint'
complete -c natprobe -l path -d 'Also find the routers on the way, which of them translate and filter, the round trip and the loss by hop, and the path MTU (Linux)'
complete -c natprobe -l port-mapping -d 'Also ask the gateway for UPnP-IGD, NAT-PMP and PCP, and for its public address. No port is mapped. (NAT-PMP and PCP: Linux)'
complete -c natprobe -l rfc4787 -d 'Also compare the NAT with the requirements of RFC 4787. Implies --hairpin; two requirements need --lifetime'
complete -c natprobe -s h -l help -d 'Print help (see more with \'--help\')'
complete -c natprobe -s V -l version -d 'Print version'
