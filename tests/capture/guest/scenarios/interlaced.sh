# shellcheck shell=dash source=/dev/null
. /lab/lib.sh
# Fields as they come: PAL with both in one buffer, then 1080i with each in a buffer of its own; and timings that the driver refuses.
broker
vivid svideo
ctl --set-standard=pal >/dev/null
ctl -V >"$OUT/driver"
watching 'input = "v4l2:/dev/video0"'
sleep 5
alive
picket_down
mv "$OUT/picket.exit" "$OUT/first.exit"
rmmod vivid
vivid hdmi
timings 13
ctl --set-dv-bt-timings query >/dev/null
ctl -V >>"$OUT/driver"
mark second
watching 'input = "v4l2:/dev/video0"'
sleep 5
# 720x480i is on the cable, and too slow for what the driver takes.
next raised stream_loss 5 timings 1
sleep 2
next cleared stream_loss 5 timings 13
sleep 1
alive
picket_down
