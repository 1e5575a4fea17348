# shellcheck shell=dash source=/dev/null
. /lab/lib.sh
# What the cable carries changes while Picket runs: there and back.
broker
vivid hdmi
timings "$VGA"
watching 'input = "v4l2:/dev/video0"'
next raised format_change 5 timings "$HD60"
sleep 3
ctl -V >"$OUT/driver"
next raised format_change 5 timings "$VGA"
sleep 3
alive
picket_down
