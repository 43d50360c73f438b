complete -c punch -l server -d 'The rendezvous, with its key and our name there if you like; the default port is 8848' -r
complete -c punch -l name -d 'Our name there' -r
complete -c punch -l peer -d 'The name of the peer to connect to; with its key no other is accepted' -r
complete -c punch -l from -d 'Wait for this peer, and answer no other. It counts as known: on the first contact ports are guessed for it, and it is told our private addresses. Other peers that are not known get neither' -r
complete -c punch -l trace -d 'Print each packet that this host sends and receives for the attempt; or write what became of each packet between the two hosts to this file (docs/reference/json.md), as far as this host knows, and with --share also the peer. Without root, packets that measure our own NAT, ask our router for a port or go by TCP are not printed. As root, a table in the rules of this host shows what they drop while it takes. Where there is no path, 60 more packets (three for each TTL from 1 to 20) show how far they come' -r -F
complete -c punch -l report -d 'Write that object to this file as well, without the packets of --trace unless --json is given, too' -r -F
complete -c punch -l ready -d 'Write one line to this file (a FIFO, or /dev/fd/N) when we are registered, for a script that waits for it' -r -F
complete -c punch -l timeout -d 'Wait S seconds for the peer, and then S seconds for a path [default: 10; without --peer it waits for a peer without end]' -r
complete -c punch -l port -d 'Local UDP port, and with --tcp also the TCP port [default: any free port]' -r
complete -c punch -l opener-ttl -d 'TTL of the packets that open our own NAT and must not reach the peer\'s; 0 sends none' -r
complete -c punch -l budget -d 'Send at most N guesses where the peer\'s port has to be guessed; 0 sends none' -r
complete -c punch -l max-pps -d 'Send at most N guesses a second' -r
complete -c punch -l keepalive -d 'Send a keepalive every S seconds; with --nat, at least twice in the lifetime that the report has' -r
complete -c punch -l nat -d 'Take our NAT from this report of natprobe, and do not measure it' -r -F
complete -c punch -l turn -d 'Relay through this TURN server, not through the rendezvous. The peer needs this option, too' -r
complete -c punch -l plan -d 'Send nothing, and say what to expect between the NATs of these two reports of natprobe' -r -F
complete -c punch -l trust-server -d 'Trust the key that the rendezvous has now, if it has changed'
complete -c punch -l share -d 'Tell the peer which packets this host has sent and received, and what the rendezvous saw, and show what became of each packet between the two hosts. Both sides need this option; nobody else can read it. The table and the 60 packets are as with --trace'
complete -c punch -l json -d 'Print one JSON object (docs/reference/json.md)'
complete -c punch -l no-host-candidates -d 'Do not tell peers our own addresses, and do not try theirs: no path within a LAN, more privacy'
complete -c punch -l direct-only -d 'Use no relay: a peer that cannot be reached directly is not reached'
complete -c punch -l relay-only -d 'Use nothing but a relay: no packet of ours goes to a peer\'s address. The rendezvous still tells each peer the address of the other'
complete -c punch -l exhaustive -d 'Try all ports between two NATs that give each destination another random port, if the peer has this option, too. That takes 200,000 packets and as many entries in both NATs: use it in the lab only'
complete -c punch -l yes -d 'Allow --budget and --max-pps above the safe defaults (2,000 and 200), which can fill the tables of a router'
complete -c punch -l quick -d 'Do not measure the path when there is one'
complete -c punch -l watch -d 'Stay connected until Ctrl-C: keep the path open, report when it is lost or becomes better, and punch again when it is lost'
complete -c punch -l no-port-mapping -d 'Do not ask our router for a port (by PCP, NAT-PMP and UPnP-IGD). A port that it gives is given back at the end'
complete -c punch -l tcp -d 'Connect by TCP, not UDP: both sides connect to each other at the same time. The peer needs this option, too'
complete -c punch -l no-measure -d 'Do not measure our own NAT: then no port is guessed'
complete -c punch -s h -l help -d 'Print help'
complete -c punch -s V -l version -d 'Print version'
