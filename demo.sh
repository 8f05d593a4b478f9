#!/bin/sh
# The main job on made-up lists: four partners in, one reconciled catalog out.
set -eu
export SOURCE_DATE_EPOCH=1764547200
say() { printf '\n$ %s\n' "$*"; "$@"; }

rm -rf demo && mkdir demo
echo "Four partners, all made up from a seed: NCMEC XML, VICS JSON, ICSE CSV, and a CSV with its own column names."
say hashlib-interop synth -o demo/lists --rows 2000 --seed 7
echo
echo "One command merges them. Broken rows are refused and counted; nothing is overwritten."
cd demo/lists
say hashlib-interop merge ncmec=ncmec.xml vics@2025-03-01=vics.json icse@2025-03-01=icse.csv \
    inhouse@2025-03-01=inhouse.csv -o ../all.db --sources sources.toml
cd ..
echo
echo "The agency's rules: values in one scheme, and whose word counts first."
cat > policy.toml <<'RULES'
name = "unit-7"
target = "ncmec/industry"
tiers = [["ncmec"], ["inhouse"]]
RULES
cat policy.toml
say hashlib-interop merge all.db -o all.db --policy policy.toml
echo
echo "What cannot all hold:"
say hashlib-interop conflicts all.db --limit 1
digest=$(hashlib-interop conflicts all.db --kind classification --json \
    | sed -nE '/"status": "decided"/s/.*"item": "([^"]+)".*/\1/p' | head -1)
echo
echo "Who said what about one that the rules decided:"
say hashlib-interop why all.db "$digest"
