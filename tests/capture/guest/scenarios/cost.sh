# shellcheck shell=dash source=/dev/null
. /lab/lib.sh
# 1080p60: what Picket takes of a core, and what FFmpeg's own capture of the same node takes.
broker
vivid hdmi
timings "$FULL_HD60" && ctl --set-dv-bt-timings query >/dev/null && ctl -v pixelformat=UYVY
export BUDGET=1600%
# cost NAME PID: over three seconds
cost() {
    begin=$(used "$2")
    sleep 3
    echo "$1 $(($(used "$2") - begin))" >>"$OUT/cost"
}
picket_up 'input = "v4l2:/dev/video0"'
verdict ok 5 || fail "picket does not see the source"
sleep 1
cost picket "$PICKET"
grep -h -E 'VmHWM|VmRSS' "/proc/$PICKET/status" >"$OUT/memory"
# For the counts that come with it.
next raised stream_loss 5 ctl -c dv_timings_signal_mode=1
picket_down
ctl -c dv_timings_signal_mode=4
ffmpeg -nostdin -v error -f v4l2 -framerate 60 -i "$NODE" -c copy -f null - 2>"$OUT/ffmpeg.log" &
sleep 1
cost ffmpeg-copy "$!"
kill -INT $! && wait "$!"
ffmpeg -nostdin -v error -f v4l2 -framerate 60 -i "$NODE" -vf blackdetect,freezedetect -f null - 2>"$OUT/ffmpeg-filters.log" &
sleep 1
cost ffmpeg-filters "$!"
kill -INT $! && wait "$!"
exit 0
