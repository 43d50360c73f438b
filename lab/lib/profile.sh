# shellcheck shell=bash
# A report of natprobe in place of a type: labreport says which type rebuilds the NAT that it describes.

# rebuild: in $words, each report (@FILE) becomes that type; what the lab cannot rebuild is refused with the reason
rebuild() {
	local i spec
	for i in "${!words[@]}"; do
		[[ ${words[i]} == @* ]] || continue
		spec=$(labreport profile "${words[i]#@}" 2>&1) || usage "--profile: ${spec#"$me": }"
		words[i]=$spec
	done
}
