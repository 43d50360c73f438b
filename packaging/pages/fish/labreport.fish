# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_labreport_global_optspecs
    string join \n h/help V/version
end

function __fish_labreport_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_labreport_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_labreport_using_subcommand
    set -l cmd (__fish_labreport_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c labreport -n "__fish_labreport_needs_command" -s h -l help -d 'Print help'
complete -c labreport -n "__fish_labreport_needs_command" -s V -l version -d 'Print version'
complete -c labreport -n "__fish_labreport_needs_command" -f -a "nat" -d 'Compare the NATs that were asked for with natprobe\'s reports'
complete -c labreport -n "__fish_labreport_needs_command" -f -a "pair" -d 'Compare the expected outcome of a punch with punch\'s report'
complete -c labreport -n "__fish_labreport_needs_command" -f -a "command" -d 'Compare how a command ended with what the oracle expects: a cell of a matrix'
complete -c labreport -n "__fish_labreport_needs_command" -f -a "expect" -d 'Print what is expected between two NAT types, before anything runs'
complete -c labreport -n "__fish_labreport_needs_command" -f -a "matrix" -d 'Show the cells of a matrix, and say which are not as expected'
complete -c labreport -n "__fish_labreport_needs_command" -f -a "profile" -d 'Print the lab type that rebuilds the NAT of a natprobe report'
complete -c labreport -n "__fish_labreport_needs_command" -f -a "figure" -d 'Draw the packets of a natprobe report, as SVG'
complete -c labreport -n "__fish_labreport_needs_command" -f -a "json" -d 'Turn tab-separated lines on stdin into JSON objects'
complete -c labreport -n "__fish_labreport_using_subcommand nat" -l json -d 'Print a JSON object for each node'
complete -c labreport -n "__fish_labreport_using_subcommand nat" -l brief -d 'Leave mapping and filtering out where all is as asked'
complete -c labreport -n "__fish_labreport_using_subcommand nat" -s h -l help -d 'Print help'
complete -c labreport -n "__fish_labreport_using_subcommand pair" -l a -d 'The NAT type of the caller\'s side' -r
complete -c labreport -n "__fish_labreport_using_subcommand pair" -l b -d 'The NAT type of the other side' -r
complete -c labreport -n "__fish_labreport_using_subcommand pair" -l punch -d 'The caller\'s report: what punch --json or punch --report wrote' -r -F
complete -c labreport -n "__fish_labreport_using_subcommand pair" -l log -d 'The caller\'s log, whose last line says why there is no report' -r -F
complete -c labreport -n "__fish_labreport_using_subcommand pair" -l exit-code -d 'The exit code of the caller\'s punch' -r
complete -c labreport -n "__fish_labreport_using_subcommand pair" -l nat-a -d 'natprobe\'s report on the caller\'s side' -r -F
complete -c labreport -n "__fish_labreport_using_subcommand pair" -l nat-b -d 'natprobe\'s report on the other side' -r -F
complete -c labreport -n "__fish_labreport_using_subcommand pair" -l table-a -d 'What nattrace shows of the caller\'s NAT, for --json' -r -F
complete -c labreport -n "__fish_labreport_using_subcommand pair" -l table-b -d 'What nattrace shows of the other NAT, for --json' -r -F
complete -c labreport -n "__fish_labreport_using_subcommand pair" -l trace -d 'The trace of the attempt, as JSON: print its steps, the answer and what it means, for people' -r -F
complete -c labreport -n "__fish_labreport_using_subcommand pair" -l budget -d 'Ports that each side guesses at most' -r
complete -c labreport -n "__fish_labreport_using_subcommand pair" -l max-pps -d 'Guesses a second, at most' -r
complete -c labreport -n "__fish_labreport_using_subcommand pair" -l json -d 'Print one JSON object: a cell of a matrix (docs/reference/json.md)'
complete -c labreport -n "__fish_labreport_using_subcommand pair" -s h -l help -d 'Print help'
complete -c labreport -n "__fish_labreport_using_subcommand command" -l a -d 'The NAT type of alice\'s side' -r
complete -c labreport -n "__fish_labreport_using_subcommand command" -l b -d 'The NAT type of bob\'s side' -r
complete -c labreport -n "__fish_labreport_using_subcommand command" -l run -d 'The number of the run; runs of one pair become one cell' -r
complete -c labreport -n "__fish_labreport_using_subcommand command" -l exit-code -d 'How the command ended' -r
complete -c labreport -n "__fish_labreport_using_subcommand command" -l timed-out -d 'The command was ended after this many seconds' -r
complete -c labreport -n "__fish_labreport_using_subcommand command" -l elapsed-ms -d 'How long the command ran, in milliseconds' -r
complete -c labreport -n "__fish_labreport_using_subcommand command" -l log -d 'A file that its output is in; may be given several times' -r -F
complete -c labreport -n "__fish_labreport_using_subcommand command" -l nat-a -d 'natprobe\'s report on alice\'s side' -r -F
complete -c labreport -n "__fish_labreport_using_subcommand command" -l nat-b -d 'natprobe\'s report on bob\'s side' -r -F
complete -c labreport -n "__fish_labreport_using_subcommand command" -s h -l help -d 'Print help'
complete -c labreport -n "__fish_labreport_using_subcommand expect" -l a -d 'The NAT type of alice\'s side' -r
complete -c labreport -n "__fish_labreport_using_subcommand expect" -l b -d 'The NAT type of bob\'s side' -r
complete -c labreport -n "__fish_labreport_using_subcommand expect" -l budget -d 'Ports that each side guesses at most' -r
complete -c labreport -n "__fish_labreport_using_subcommand expect" -l max-pps -d 'Guesses a second, at most' -r
complete -c labreport -n "__fish_labreport_using_subcommand expect" -l json -d 'Print one JSON object (docs/reference/json.md)'
complete -c labreport -n "__fish_labreport_using_subcommand expect" -s h -l help -d 'Print help'
complete -c labreport -n "__fish_labreport_using_subcommand matrix" -l types -d 'The types in the order of rows and columns, separated by spaces; a pair of them without a cell is a lab that did not come up [default: the types of the cells, as they come]' -r
complete -c labreport -n "__fish_labreport_using_subcommand matrix" -l columns -d 'The types of the columns, if they are not those of the rows' -r
complete -c labreport -n "__fish_labreport_using_subcommand matrix" -l runs -d 'How many runs a cell of a command has; a run that is missing is a lab that did not come up' -r
complete -c labreport -n "__fish_labreport_using_subcommand matrix" -l want -d 'What makes the exit code 0' -r -f -a "expected\t'Every cell is as asked and as expected'
told\t'Every cell has a result'
yes\t'Every cell is yes'"
complete -c labreport -n "__fish_labreport_using_subcommand matrix" -l json -d 'All cells as one JSON object (docs/reference/json.md)' -r -F
complete -c labreport -n "__fish_labreport_using_subcommand matrix" -l markdown -d 'A table in Markdown, for a README or a pull request' -r -F
complete -c labreport -n "__fish_labreport_using_subcommand matrix" -l junit -d 'A test case for each cell, in JUnit\'s XML, for a CI system' -r -F
complete -c labreport -n "__fish_labreport_using_subcommand matrix" -l html -d 'One page for a browser, with nothing outside of it' -r -F
complete -c labreport -n "__fish_labreport_using_subcommand matrix" -l packets -d 'A folder beside that page, with a page of the packets of each run: FOLDER/A--B/run-N.html. The cells lead to those that are there' -r -F
complete -c labreport -n "__fish_labreport_using_subcommand matrix" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c labreport -n "__fish_labreport_using_subcommand profile" -s h -l help -d 'Print help'
complete -c labreport -n "__fish_labreport_using_subcommand figure" -l title -d 'The name of the NAT' -r
complete -c labreport -n "__fish_labreport_using_subcommand figure" -s h -l help -d 'Print help'
complete -c labreport -n "__fish_labreport_using_subcommand json" -l list -d 'One report with a list NAME of all objects, instead of a report for each line' -r
complete -c labreport -n "__fish_labreport_using_subcommand json" -s h -l help -d 'Print help'
