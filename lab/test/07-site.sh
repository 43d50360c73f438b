#!/usr/bin/env bash
# The pages as a site: it builds, every link leads somewhere, and nothing comes from the network.
source "${BASH_SOURCE[0]%/*}/words.sh"
source "${test%/*}/lib/needs.sh"

die() { bad "$*"; exit 1; }
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
root=${test%/*/*}
install=1 lab=${test%/*} # what needs.sh wants to know
has dot || install graphviz
if ! has mdbook; then
	python3 -m pip --version >/dev/null 2>&1 || install python3-pip
	python3 -m pip install --quiet --disable-pip-version-check --require-hashes --target "$tmp/mdbook" \
		-r "$root/docs/site/requirements.txt" 2>/dev/null || die 'cannot install mdbook by pip'
	PATH=$tmp/mdbook/bin:$PATH
fi

python3 "$root/docs/site/build.py" "$tmp/site" || bad 'the site is not as it shall be'
check 'the figure of the crates is drawn' grep -q 'aria-label="[^"]*peer-proto → session' "$tmp/site/ARCHITECTURE.html"
check 'and the figures of the types are there' test -s "$tmp/site/docs/figures/masquerade.svg"

# control: a page that is not listed, a link to no heading, and a style sheet that loads a font are found
mkdir -p "$tmp/repo/crates"
cp -r "$root"/*.md "$root/docs" "$tmp/repo" && cp "$root"/crates/*.md "$tmp/repo/crates"
sed -i '/limits.md/d' "$tmp/repo/docs/SUMMARY.md"
said=$(python3 "$tmp/repo/docs/site/build.py" "$tmp/false")
check 'control: a page that is not listed is found' grep -q 'FAIL  docs/SUMMARY.md names every page: not docs/reference/limits.md' <<<"$said"
cp "$root/docs/SUMMARY.md" "$tmp/repo/docs"
sed -i 's/#causes)/#cause)/' "$tmp/repo/docs/how-to/reach-a-peer.md"
echo '@font-face { font-family: x; src: url("https://example.org/x.woff2") }' >>"$tmp/repo/docs/site/look.css"
said=$(python3 "$tmp/repo/docs/site/build.py" "$tmp/false")
check 'control: a link to no heading is found' grep -q 'FAIL  every link .*reach-a-peer.html: .*#cause has no such heading' <<<"$said"
check 'control: what comes from the network is found' grep -q 'FAIL  no page loads .*look.*loads https://example.org' <<<"$said"
