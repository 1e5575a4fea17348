# shellcheck shell=dash source=/dev/null
. /lab/lib.sh
# What is on the box, in text and in JSON.
vivid hdmi
timings "$VGA"
load snd_aloop
load snd_dummy
picket probe >"$OUT/text" 2>"$OUT/complaints" || fail "picket probe ended with exit code $?"
picket probe --format json >"$OUT/json" 2>>"$OUT/complaints" || fail "picket probe --format json ended with exit code $?"
ctl -c dv_timings_signal_mode=1
picket probe --format json >"$OUT/json-without-signal" 2>>"$OUT/complaints" || fail "picket probe without a signal ended with exit code $?"
