#!/usr/bin/env bash
# What must be true of a binary that is shipped: aarch64, stripped, PIE, full RELRO, and none of the FFmpeg that we do not use.
set -euo pipefail

binary=$1
failed=0
claim() {
    local text=$1
    shift
    if "$@"; then echo "  yes  $text"; else echo "  NO   $text" && failed=1; fi
}
# shellcheck disable=SC2317 # called through claim
has() { grep -qE "$1" <<<"$2"; }
# shellcheck disable=SC2317
hasnt() { ! grep -qE "$1" <<<"$2"; }

header=$(readelf -W -h "$binary")
dynamic=$(readelf -W -d "$binary")
segments=$(readelf -W -l "$binary")
sections=$(readelf -W -S "$binary")

echo "$binary: $(stat -c %s "$binary") bytes"
claim "for aarch64" has 'Machine: +AArch64' "$header"
claim "stripped (no symbol table, no debug sections)" hasnt ' \.symtab |\.debug_' "$sections"
claim "position independent" has 'FLAGS_1.* PIE' "$dynamic"
claim "full RELRO: the segment" has GNU_RELRO "$segments"
claim "full RELRO: bound at start" has 'BIND_NOW|FLAGS_1.* NOW' "$dynamic"
claim "no executable stack" hasnt 'GNU_STACK.* RWE ' "$segments"
claim "links neither libavfilter nor libavdevice" hasnt 'NEEDED.*lib(avfilter|avdevice)' "$dynamic"
claim "unwinding kept" has ' \.eh_frame ' "$sections"
echo "  links $(sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' <<<"$dynamic" | sort | tr '\n' ' ')"
exit "$failed"
