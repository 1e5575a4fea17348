#!/usr/bin/env bash
# A short clip through the native and the aarch64 `analyze`: the same events, byte for byte; and twice natively.
#   .ci/same_events.sh NATIVE AARCH64
set -euo pipefail
native=$1
aarch64=$2

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# PCM, because decoders of lossy sound compute in floats and round differently per processor; H.264 decodes to the same bits everywhere.
ffmpeg -nostdin -v error -f lavfi -i "testsrc2=s=640x360:r=25:d=14,noise=alls=8:allf=t:all_seed=7,drawbox=c=black:t=fill:enable='between(t,2,4.98)',split[a][b];[a][b]freezeframes=first=175:last=274:replace=175,format=yuv420p[out0]" \
    -f lavfi -i "aevalsrc=exprs='0.3*sin(880*PI*t)*(0.6+0.4*sin(5*t))|0.3*sin(660*PI*t)*(0.6+0.4*sin(4*t))':s=48000:d=14,volume=0:enable='between(t,6,11)'" \
    -c:v libx264 -preset veryfast -threads 1 -g 50 -c:a pcm_s16le -fflags +bitexact -y "$work/clip.mkv"

analyze() {
    local out=$1 code=0
    shift
    "$@" analyze --format ndjson "$work/clip.mkv" >"$out.all" 2>"$out.err" || code=$?
    if ((code != 0)); then
        echo "same_events: '$*' ended with $code: $(tail -3 "$out.err")" >&2
        return 1
    fi
    # The summary has times and memory in it, which differ; it is the one line that is not an incident.
    grep '"type":"incident"' "$out.all" >"$out"
}

analyze "$work/native" "$native"
analyze "$work/again" "$native"
for cpu in cortex-a53 max; do
    QEMU_CPU=$cpu analyze "$work/$cpu" qemu-aarch64 "$aarch64"
done
for defect in black freeze silence; do
    grep -q "\"defect\":\"$defect\"" "$work/native" || { echo "same_events: the native run did not report $defect" >&2; exit 1; }
done
for other in again cortex-a53 max; do
    if ! diff -u "$work/native" "$work/$other"; then
        echo "same_events: '$other' differs from the native events" >&2
        exit 1
    fi
done
echo "same_events: $(wc -l <"$work/native") event lines, the same bytes natively twice and for aarch64 as cortex-a53 and as max"
