# shellcheck shell=bash
# Inside a lab: the packets of every node, each in a file. pcap.py captures.

# captured FOLDER: start the captures, and wait until they capture
captured() {
	local began nodes=(/run/netns/*)
	mkdir -p "$1" || die "--pcap: cannot make the folder $1"
	exec {began}< <(exec python3 "$lab/lib/pcap.py" "$1" "${nodes[@]##*/}" </dev/null)
	capturing=$!
	read -rt $patience -u "$began" || die '--pcap: nothing is captured; the reason is above'
	exec {began}<&-
}

# saved: end the captures, and wait until their files are whole
saved() {
	[[ ! ${capturing-} ]] || { kill -TERM "$capturing" && wait "$capturing"; }
}
