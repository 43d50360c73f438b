complete -c chat -l server -d 'The rendezvous server, with its key and your name there if you like [env: PINHOLE_SERVER] [default port: 8848]' -r
complete -c chat -l sip -d 'The rendezvous server\'s address, in place of --server [default: 0.0.0.0, this host]' -r
complete -c chat -l sport -d 'The rendezvous server\'s port, in place of --server [default: 8848]' -r
complete -c chat -l cip -d 'Local address' -r
complete -c chat -l cport -d 'Local UDP port; if it is taken, a free one is used' -r
complete -c chat -l name -d 'Your name, under which peers reach you' -r
complete -c chat -l peer -d 'Open a conversation with this peer; with its key no other is accepted' -r
complete -c chat -l downloads -d 'The folder for received files' -r -F
complete -c chat -l trust -d 'Trust the key that this peer has now, if it has changed' -r
complete -c chat -l timeout -d 'Seconds without a path after which a peer counts as gone' -r
complete -c chat -l keepalive -d 'Seconds between the packets that keep a path open. A NAT on the way must keep a mapping for four times as long' -r
complete -c chat -l opener-ttl -d 'TTL of the packets that open our own NAT and must not reach the peer\'s; 0 sends none' -r
complete -c chat -l trust-server -d 'Trust the key that the rendezvous has now, if it has changed'
complete -c chat -l new-key -d 'Give your name a new key, signed by the old one. Peers that know the old key follow. The old key stays in use until the rendezvous has accepted the new one'
complete -c chat -l json -d 'Print JSON lines (docs/reference/json.md), also on a terminal'
complete -c chat -l ascii -d 'Draw no QR code in /who: it takes block characters and colours. NO_COLOR in the environment has the same effect'
complete -c chat -l stay -d 'As a filter, go on receiving when stdin has ended'
complete -c chat -l open -d 'On a terminal, answer callers that are not known without asking you, as it is done elsewhere'
complete -c chat -l accept-files -d 'Accept every file that a peer offers'
complete -c chat -l no-port-mapping -d 'Do not ask our router for a port (by PCP, NAT-PMP and UPnP-IGD). A port that it gives is given back at the end'
complete -c chat -l no-measure -d 'Do not measure our own NAT: then no port is guessed'
complete -c chat -l no-host-candidates -d 'Do not tell peers our own addresses, and do not try theirs: no path within a LAN, more privacy'
complete -c chat -l direct-only -d 'Use no relay: a peer that cannot be reached directly is not reached'
complete -c chat -l relay-only -d 'Use nothing but a relay: no packet of ours goes to a peer\'s address. The rendezvous still tells each peer the address of the other'
complete -c chat -s h -l help -d 'Print help'
complete -c chat -s V -l version -d 'Print version'
