#!/usr/bin/env bash
# The pages keep step: the commands in both READMEs are the same, and every page that is named exists.
source "${BASH_SOURCE[0]%/*}/words.sh"

pages() { python3 "$test/pages.py" "$1" || bad 'pages.py did not finish'; }
pages "${test%/*/*}"

# control: a command that is changed in one README, a page that is moved, and tests that are not there, are found
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
cp -r "${test%/*/*}"/*.md "${test%/*/*}/docs" "$tmp"
mkdir "$tmp/crates" && cp "${test%/*/*}"/crates/*.md "$tmp/crates"
sed -i 's/^lab\/netns.sh up restricted cgnat$/lab\/netns.sh up restricted symmetric/' "$tmp/README.zh-CN.md"
mv "$tmp/docs/glossary.md" "$tmp"
said=$(pages "$tmp")
for wrong in 'the same commands' 'every link' 'every page that is named' 'every test that the threat model names'; do
	if [[ $said == *"FAIL  "*"$wrong"* ]]; then ok "control: a fault is found: $wrong"; else bad "control: no fault is found: $wrong"; fi
done
