# shellcheck shell=dash source=/dev/null
. /lab/lib.sh
# 720x480i and 720x576i: fields as they come, in the order in which they come.
broker
vivid hdmi
timings 1
ctl --set-dv-bt-timings query >/dev/null
ctl -V >"$OUT/driver"
watching 'input = "v4l2:/dev/video0"'
sleep 5
next raised format_change 5 timings 3
sleep 5
alive
picket_down
