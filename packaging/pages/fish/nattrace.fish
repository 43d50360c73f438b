# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_nattrace_global_optspecs
    string join \n h/help V/version
end

function __fish_nattrace_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_nattrace_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_nattrace_using_subcommand
    set -l cmd (__fish_nattrace_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c nattrace -n "__fish_nattrace_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nattrace -n "__fish_nattrace_needs_command" -s V -l version -d 'Print version'
complete -c nattrace -n "__fish_nattrace_needs_command" -f -a "table" -d 'Show the NAT\'s mappings, permits, counters and connections'
complete -c nattrace -n "__fish_nattrace_needs_command" -f -a "watch" -d 'Watch every packet at the nodes of a lab, and say what became of each'
complete -c nattrace -n "__fish_nattrace_needs_command" -f -a "join" -d 'Join what nodes have seen, which "watch --record" wrote'
complete -c nattrace -n "__fish_nattrace_needs_command" -f -a "convert" -d 'Write a trace in other formats'
complete -c nattrace -n "__fish_nattrace_needs_command" -f -a "show" -d 'Print what became of each packet of a trace, as a ladder'
complete -c nattrace -n "__fish_nattrace_using_subcommand table" -l watch -d 'Read again every SECONDS, until interrupted' -r
complete -c nattrace -n "__fish_nattrace_using_subcommand table" -l table -d 'The nft table to read: NAME, or "FAMILY NAME"' -r
complete -c nattrace -n "__fish_nattrace_using_subcommand table" -l node -d 'A name of this router for the output' -r
complete -c nattrace -n "__fish_nattrace_using_subcommand table" -l json -d 'Print one JSON object (with --watch, one per line); docs/reference/json.md describes it'
complete -c nattrace -n "__fish_nattrace_using_subcommand table" -l connections -d 'Show the kernel\'s tracked connections as well (JSON always has them)'
complete -c nattrace -n "__fish_nattrace_using_subcommand table" -l all -d 'Print every entry: not only the 20 mappings with the latest packets, and 5 permits of each (JSON always has every one)'
complete -c nattrace -n "__fish_nattrace_using_subcommand table" -s h -l help -d 'Print help'
complete -c nattrace -n "__fish_nattrace_using_subcommand watch" -l record -d 'A folder for what each node has seen, as NODE.json, which \\"nattrace join\\" reads' -r -F
complete -c nattrace -n "__fish_nattrace_using_subcommand watch" -l trace -d 'A file for the trace, whose name says the format: .json, .html (a page for a browser), .pcapng (for Wireshark), .txt (a ladder). May be given again' -r
complete -c nattrace -n "__fish_nattrace_using_subcommand watch" -l peers -d 'Two nodes whose packets to each other should come through: say why they do not' -r
complete -c nattrace -n "__fish_nattrace_using_subcommand watch" -l report -d 'What punch wrote with --report: it says why where the packets do not show it' -r -F
complete -c nattrace -n "__fish_nattrace_using_subcommand watch" -l drops -d 'The file in which natlink records the frames that it drops' -r -F
complete -c nattrace -n "__fish_nattrace_using_subcommand watch" -l here -d 'Watch this network namespace, under the name NODE, and not one of \\"ip netns\\": on a real host or router'
complete -c nattrace -n "__fish_nattrace_using_subcommand watch" -l statistics -d 'Print on stderr how many frames the interfaces of each node counted, and how many were seen'
complete -c nattrace -n "__fish_nattrace_using_subcommand watch" -s h -l help -d 'Print help'
complete -c nattrace -n "__fish_nattrace_using_subcommand join" -l trace -d 'A file for the trace, whose name says the format: .json, .html (a page for a browser), .pcapng (for Wireshark), .txt (a ladder). May be given again' -r
complete -c nattrace -n "__fish_nattrace_using_subcommand join" -l peers -d 'Two nodes whose packets to each other should come through: say why they do not' -r
complete -c nattrace -n "__fish_nattrace_using_subcommand join" -l report -d 'What punch wrote with --report: it says why where the packets do not show it' -r -F
complete -c nattrace -n "__fish_nattrace_using_subcommand join" -l drops -d 'The file in which natlink records the frames that it drops' -r -F
complete -c nattrace -n "__fish_nattrace_using_subcommand join" -s h -l help -d 'Print help'
complete -c nattrace -n "__fish_nattrace_using_subcommand convert" -s h -l help -d 'Print help'
complete -c nattrace -n "__fish_nattrace_using_subcommand show" -l width -d 'The width of a line, 60 to 100 (default: that of the terminal, at most 100)' -r
complete -c nattrace -n "__fish_nattrace_using_subcommand show" -l all -d 'Print a line for every packet: fold no repetitions'
complete -c nattrace -n "__fish_nattrace_using_subcommand show" -l ascii -d 'Print ASCII characters only'
complete -c nattrace -n "__fish_nattrace_using_subcommand show" -s h -l help -d 'Print help'
