# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_chat_global_optspecs
    string join \n server= sip= sport= trust-server cip= cport= name= new-key peer= json ascii stay open keep no-keep accept-files downloads= trust= timeout= keepalive= no-port-mapping no-measure opener-ttl= no-host-candidates direct-only relay-only h/help V/version
end

function __fish_chat_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_chat_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_chat_using_subcommand
    set -l cmd (__fish_chat_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c chat -n "__fish_chat_needs_command" -l server -d 'The rendezvous server, with its key and your name there if you like [env: PINHOLE_SERVER] [default port: 8848]' -r
complete -c chat -n "__fish_chat_needs_command" -l sip -d 'The rendezvous server\'s address, in place of --server [default: 0.0.0.0, this host]' -r
complete -c chat -n "__fish_chat_needs_command" -l sport -d 'The rendezvous server\'s port, in place of --server [default: 8848]' -r
complete -c chat -n "__fish_chat_needs_command" -l cip -d 'Local address' -r
complete -c chat -n "__fish_chat_needs_command" -l cport -d 'Local UDP port; if it is taken, a free one is used [default: 8900; for send and receive, a free one]' -r
complete -c chat -n "__fish_chat_needs_command" -l name -d 'Your name, under which peers reach you' -r
complete -c chat -n "__fish_chat_needs_command" -l peer -d 'Open a conversation with this peer; with its key no other is accepted' -r
complete -c chat -n "__fish_chat_needs_command" -l downloads -d 'The folder for received files' -r -F
complete -c chat -n "__fish_chat_needs_command" -l trust -d 'Trust the key that this peer has now, if it has changed' -r
complete -c chat -n "__fish_chat_needs_command" -l timeout -d 'Seconds without a path after which a peer counts as gone' -r
complete -c chat -n "__fish_chat_needs_command" -l keepalive -d 'Seconds between the packets that keep a path open. A NAT on the way must keep a mapping for four times as long' -r
complete -c chat -n "__fish_chat_needs_command" -l opener-ttl -d 'TTL of the packets that open our own NAT and must not reach the peer\'s; 0 sends none' -r
complete -c chat -n "__fish_chat_needs_command" -l trust-server -d 'Trust the key that the rendezvous has now, if it has changed'
complete -c chat -n "__fish_chat_needs_command" -l new-key -d 'Give your name a new key, signed by the old one. Peers that know the old key follow. The old key stays in use until the rendezvous has accepted the new one'
complete -c chat -n "__fish_chat_needs_command" -l json -d 'Print JSON lines (docs/reference/json.md), also on a terminal'
complete -c chat -n "__fish_chat_needs_command" -l ascii -d 'Draw no QR code in /who: it takes block characters and colours. NO_COLOR in the environment has the same effect'
complete -c chat -n "__fish_chat_needs_command" -l stay -d 'As a filter, go on receiving when stdin has ended'
complete -c chat -n "__fish_chat_needs_command" -l open -d 'On a terminal, answer callers that are not known without asking you, as it is done elsewhere'
complete -c chat -n "__fish_chat_needs_command" -l keep -d 'Keep messages to peers that are not there, and what was said, on disk, sealed; on a terminal it is done without this option'
complete -c chat -n "__fish_chat_needs_command" -l no-keep -d 'Keep nothing of that'
complete -c chat -n "__fish_chat_needs_command" -l accept-files -d 'Accept every file that a peer offers'
complete -c chat -n "__fish_chat_needs_command" -l no-port-mapping -d 'Do not ask our router for a port (by PCP, NAT-PMP and UPnP-IGD). A port that it gives is given back at the end'
complete -c chat -n "__fish_chat_needs_command" -l no-measure -d 'Do not measure our own NAT: then no port is guessed'
complete -c chat -n "__fish_chat_needs_command" -l no-host-candidates -d 'Do not tell peers our own addresses, and do not try theirs: no path within a LAN, more privacy'
complete -c chat -n "__fish_chat_needs_command" -l direct-only -d 'Use no relay: a peer that cannot be reached directly is not reached'
complete -c chat -n "__fish_chat_needs_command" -l relay-only -d 'Use nothing but a relay: no packet of ours goes to a peer\'s address. The rendezvous still tells each peer the address of the other'
complete -c chat -n "__fish_chat_needs_command" -s h -l help -d 'Print help'
complete -c chat -n "__fish_chat_needs_command" -s V -l version -d 'Print version'
complete -c chat -n "__fish_chat_needs_command" -f -a "send" -d 'Send files or folders to whoever has the code that is printed. No name is needed on either side'
complete -c chat -n "__fish_chat_needs_command" -f -a "receive" -d 'Receive what somebody sends under a code'
complete -c chat -n "__fish_chat_using_subcommand send" -l code -d 'Use this code in place of a new one' -r
complete -c chat -n "__fish_chat_using_subcommand send" -l wait -d 'Seconds to wait for a receiver, at first and after an interruption' -r
complete -c chat -n "__fish_chat_using_subcommand send" -l server -d 'The rendezvous server, with its key and your name there if you like [env: PINHOLE_SERVER] [default port: 8848]' -r
complete -c chat -n "__fish_chat_using_subcommand send" -l sip -d 'The rendezvous server\'s address, in place of --server [default: 0.0.0.0, this host]' -r
complete -c chat -n "__fish_chat_using_subcommand send" -l sport -d 'The rendezvous server\'s port, in place of --server [default: 8848]' -r
complete -c chat -n "__fish_chat_using_subcommand send" -l cip -d 'Local address' -r
complete -c chat -n "__fish_chat_using_subcommand send" -l cport -d 'Local UDP port; if it is taken, a free one is used [default: 8900; for send and receive, a free one]' -r
complete -c chat -n "__fish_chat_using_subcommand send" -l timeout -d 'Seconds without a path after which a peer counts as gone' -r
complete -c chat -n "__fish_chat_using_subcommand send" -l keepalive -d 'Seconds between the packets that keep a path open. A NAT on the way must keep a mapping for four times as long' -r
complete -c chat -n "__fish_chat_using_subcommand send" -l opener-ttl -d 'TTL of the packets that open our own NAT and must not reach the peer\'s; 0 sends none' -r
complete -c chat -n "__fish_chat_using_subcommand send" -l trust-server -d 'Trust the key that the rendezvous has now, if it has changed'
complete -c chat -n "__fish_chat_using_subcommand send" -l json -d 'Print JSON lines (docs/reference/json.md), also on a terminal'
complete -c chat -n "__fish_chat_using_subcommand send" -l no-port-mapping -d 'Do not ask our router for a port (by PCP, NAT-PMP and UPnP-IGD). A port that it gives is given back at the end'
complete -c chat -n "__fish_chat_using_subcommand send" -l no-measure -d 'Do not measure our own NAT: then no port is guessed'
complete -c chat -n "__fish_chat_using_subcommand send" -l no-host-candidates -d 'Do not tell peers our own addresses, and do not try theirs: no path within a LAN, more privacy'
complete -c chat -n "__fish_chat_using_subcommand send" -l direct-only -d 'Use no relay: a peer that cannot be reached directly is not reached'
complete -c chat -n "__fish_chat_using_subcommand send" -l relay-only -d 'Use nothing but a relay: no packet of ours goes to a peer\'s address. The rendezvous still tells each peer the address of the other'
complete -c chat -n "__fish_chat_using_subcommand send" -s h -l help -d 'Print help'
complete -c chat -n "__fish_chat_using_subcommand receive" -l into -d 'The folder for what is received' -r -F
complete -c chat -n "__fish_chat_using_subcommand receive" -l server -d 'The rendezvous server, with its key and your name there if you like [env: PINHOLE_SERVER] [default port: 8848]' -r
complete -c chat -n "__fish_chat_using_subcommand receive" -l sip -d 'The rendezvous server\'s address, in place of --server [default: 0.0.0.0, this host]' -r
complete -c chat -n "__fish_chat_using_subcommand receive" -l sport -d 'The rendezvous server\'s port, in place of --server [default: 8848]' -r
complete -c chat -n "__fish_chat_using_subcommand receive" -l cip -d 'Local address' -r
complete -c chat -n "__fish_chat_using_subcommand receive" -l cport -d 'Local UDP port; if it is taken, a free one is used [default: 8900; for send and receive, a free one]' -r
complete -c chat -n "__fish_chat_using_subcommand receive" -l timeout -d 'Seconds without a path after which a peer counts as gone' -r
complete -c chat -n "__fish_chat_using_subcommand receive" -l keepalive -d 'Seconds between the packets that keep a path open. A NAT on the way must keep a mapping for four times as long' -r
complete -c chat -n "__fish_chat_using_subcommand receive" -l opener-ttl -d 'TTL of the packets that open our own NAT and must not reach the peer\'s; 0 sends none' -r
complete -c chat -n "__fish_chat_using_subcommand receive" -s y -l yes -d 'Do not ask before the first byte'
complete -c chat -n "__fish_chat_using_subcommand receive" -l trust-server -d 'Trust the key that the rendezvous has now, if it has changed'
complete -c chat -n "__fish_chat_using_subcommand receive" -l json -d 'Print JSON lines (docs/reference/json.md), also on a terminal'
complete -c chat -n "__fish_chat_using_subcommand receive" -l no-port-mapping -d 'Do not ask our router for a port (by PCP, NAT-PMP and UPnP-IGD). A port that it gives is given back at the end'
complete -c chat -n "__fish_chat_using_subcommand receive" -l no-measure -d 'Do not measure our own NAT: then no port is guessed'
complete -c chat -n "__fish_chat_using_subcommand receive" -l no-host-candidates -d 'Do not tell peers our own addresses, and do not try theirs: no path within a LAN, more privacy'
complete -c chat -n "__fish_chat_using_subcommand receive" -l direct-only -d 'Use no relay: a peer that cannot be reached directly is not reached'
complete -c chat -n "__fish_chat_using_subcommand receive" -l relay-only -d 'Use nothing but a relay: no packet of ours goes to a peer\'s address. The rendezvous still tells each peer the address of the other'
complete -c chat -n "__fish_chat_using_subcommand receive" -s h -l help -d 'Print help'
