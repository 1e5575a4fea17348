# shellcheck shell=dash
# What the scenarios share. $OUT is what the host gets to see, $WORK is for the rest; both are in memory.
# shellcheck disable=SC2034 # used by scenarios
NODE=/dev/video0

uptime() { cut -d' ' -f1 /proc/uptime; }
mark() { echo "$(uptime) $*" >>"$OUT/marks"; }
fail() {
    echo "FAIL $*"
    exit 1
}
# until_true SECONDS COMMAND...
until_true() {
    local left=$(($1 * 10))
    shift
    until "$@"; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || return 1
        usleep 100000
    done
}
# load MODULE [PARAMETER...], with what it depends on
load() {
    local name=$1 each
    shift
    while read -r each; do
        if [ "$each" = "$name" ]; then insmod "/modules/$each.ko" "$@" || fail "module $name"
        else grep -q "^$each " /proc/modules || insmod "/modules/$each.ko" || fail "module $each"; fi
    done <"/modules/$name.needs"
}
ctl() { v4l2-ctl -d "$NODE" "$@"; }
# One HDMI input, which has timings and a signal to lose.
hdmi() { load vivid n_devs=1 node_types=0x1 num_inputs=1 input_types=0x3 "$@" && until_true 3 test -e "$NODE"; }
# One camera, which has neither, and small sizes.
webcam() { load vivid n_devs=1 node_types=0x1 num_inputs=1 input_types=0x0 "$@" && until_true 3 test -e "$NODE"; }
