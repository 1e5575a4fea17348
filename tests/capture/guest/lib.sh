# shellcheck shell=dash
# What the scenarios share. $OUT is what the host gets to see, $WORK is for the rest; both are in memory.
NODE=/dev/video0
ID=d3300000000000000000000000000001 # of the machine, for picket

uptime() { cut -d' ' -f1 /proc/uptime; }
# For the host: when something was done, in seconds of the guest's monotonic clock.
mark() { echo "$(uptime) $*" >>"$OUT/marks"; }
fail() {
    echo "FAIL $*"
    exit 1
}
# until_true SECONDS COMMAND...: tries it ten times a second
until_true() {
    tries=$(($1 * 10))
    shift
    until "$@"; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        usleep 100000
    done
}

# load MODULE [PARAMETER...], after what it depends on
load() {
    module=$1
    shift
    while read -r each; do
        [ "$each" != "$module" ] || continue
        grep -q "^$each " /proc/modules || insmod "/modules/$each.ko" || fail "module $each"
    done <"/modules/$module.needs"
    insmod "/modules/$module.ko" "$@" || fail "module $module"
}
ctl() { v4l2-ctl -d "$NODE" "$@"; }
# vivid KIND [PARAMETER...]: one capture node of that kind, with a picture in which nothing is wrong
vivid() {
    kind=$1
    shift
    # Two bits for each input: 0 a camera, which has small sizes and no signal to lose; 2 S-Video; 3 HDMI, which has both.
    case $kind in camera) types=0x0 ;; svideo) types=0x2 ;; *) types=0x3 ;; esac
    load vivid n_devs=1 node_types=0x1 num_inputs=1 input_types="$types" "$@"
    until_true 3 test -e "$NODE" || fail "no $NODE"
    programme
}
# Coloured squares that move, and no text: no defect by any detector.
programme() { ctl -c osd_text_mode=2,test_pattern=4,horizontal_movement=5,vertical_movement=4; }
# timings NUMBER: what the cable carries, by the number in the driver's list
timings() { ctl -c dv_timings_signal_mode=4 && ctl -c dv_timings="$1"; }
# shellcheck disable=SC2034 # of the scenarios
VGA=0 HD60=9 FULL_HD60=16

# broker: in the guest, with everything that is published written down
broker() {
    printf 'listener 1883 127.0.0.1\nallow_anonymous true\npersistence false\nuser root\n' >"$WORK/mosquitto.conf"
    mosquitto -c "$WORK/mosquitto.conf" >"$WORK/mosquitto.log" 2>&1 &
    until_true 5 grep -q ' 0100007F:075B 00000000:0000 0A ' /proc/net/tcp || fail "no broker"
    mosquitto_sub -h 127.0.0.1 -F '%t %p' -t 'picket/#' >>"$OUT/heard" &
    # Appended, as a scenario may empty the files. Pictures in hexadecimal digits, a line each.
    mosquitto_sub -h 127.0.0.1 -F '%x' -t 'picket-img/#' >>"$OUT/pictures" &
    usleep 200000
}
# picket_up SOURCE...: the daemon on one source, whose keys are given
picket_up() {
    (umask 077 && mkdir -p "$WORK/state" "$WORK/run")
    cat >"$WORK/picket.toml" <<CONFIG
[device]
machine_id = "$ID"
state_dir = "$WORK/state"
runtime_dir = "$WORK/run"
[broker]
url = "mqtt://127.0.0.1:1883"
[budget]
cpu = "${BUDGET:-100%}"
yield_when_busy = false
[health]
period = "10s"
[[source]]
id = "cam"
CONFIG
    printf '%s\n' "$@" >>"$WORK/picket.toml"
    mark picket started
    picket run --config "$WORK/picket.toml" >>"$OUT/picket.log" 2>&1 &
    PICKET=$!
}
# watching SOURCE...: the same, and the picture is good
watching() {
    picket_up "$@"
    verdict ok 10 || fail "picket does not see the source within 10 s"
}
picket_down() {
    kill "$PICKET"
    wait "$PICKET"
    echo "$?" >"$OUT/picket.exit"
}
alive() { kill -0 "$PICKET" 2>/dev/null || fail "picket is gone: $(tail -1 "$OUT/picket.log")"; }
# verdict NAME SECONDS: waits for the source's last state to say so
verdict() { until_true "$2" is_verdict "$1"; }
is_verdict() {
    alive
    grep '/src/cam/state ' "$OUT/heard" | tail -1 | grep -q "\"verdict\":\"$1\""
}
# told STATE DEFECT: how often, up to now
told() { grep -c "/event .*\"state\":\"$1\".*\"defect\":\"$2\"" "$OUT/heard"; }
# next STATE DEFECT SECONDS COMMAND...: does the command, and waits for one more such event
next() {
    state=$1 defect=$2 patience=$3 before=$(told "$1" "$2")
    shift 3
    mark "$state $defect"
    "$@"
    until_true "$patience" more "$state" "$defect" "$before" || fail "no $defect was $state within $patience s after: $*"
}
more() { [ "$(told "$1" "$2")" -gt "$3" ]; }
# used PID: processor time of all its threads, in microseconds
used() { cat "/proc/$1/task/"*/schedstat | awk '{ sum += $1 } END { printf "%d\n", sum / 1000 }'; }
unbind() { echo vivid.0 >/sys/bus/platform/drivers/vivid/unbind; }
bind() { echo vivid.0 >/sys/bus/platform/drivers/vivid/bind && until_true 3 test -e "$NODE" && programme; }
card() { echo snd_aloop.0 >"/sys/bus/platform/drivers/snd_aloop/$1"; }
