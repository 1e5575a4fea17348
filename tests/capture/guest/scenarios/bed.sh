# shellcheck shell=dash source=/dev/null
. /lab/lib.sh
# The bed itself: frames, signal states, events, FFmpeg's capture, sound through the loop, the loopback node; Picket and the broker without
# a device.
broker
watching 'input = "pattern:clean"'
picket_down
vivid hdmi
timings "$VGA" && ctl --set-dv-bt-timings query >/dev/null && ctl -v pixelformat=UYVY
ctl --stream-mmap=4 --stream-count=60 --verbose >"$OUT/stream" 2>&1
for mode in 0 1 2 3; do
    ctl -c dv_timings_signal_mode="$mode"
    { echo "mode $mode" && ctl --query-dv-timings 2>&1 && ctl --list-inputs; } >>"$OUT/signal"
done
timeout 10 v4l2-ctl -d "$NODE" --wait-for-event=source_change=0 >"$OUT/event" 2>&1 &
usleep 300000
timings "$HD60"
wait "$!"
echo $? >"$OUT/event.exit"
ctl -c test_pattern=0,horizontal_movement=3,vertical_movement=3 && ctl --set-dv-bt-timings query >/dev/null
ffmpeg -nostdin -v error -f v4l2 -i "$NODE" -frames:v 1 -f rawvideo -pix_fmt rgb24 -s 320x180 "$OUT/bars.rgb"
load snd_aloop
arecord -q -D hw:0,1,0 -f S16_LE -c 2 -r 48000 -d 1 "$OUT/tone.wav" &
usleep 200000
timeout 3 aplay -q -D hw:0,0,0 /lab/tone.wav
wait "$!"
[ ! -e /modules/v4l2loopback.ko ] || {
    load v4l2loopback video_nr=7
    ctl -v width=320,height=240,pixelformat=YUYV
    ffmpeg -nostdin -v error -f v4l2 -i "$NODE" -frames:v 300 -c copy -f v4l2 /dev/video7 2>"$OUT/writer" &
    sleep 1
    v4l2-ctl -d /dev/video7 --stream-mmap=4 --stream-count=3 --stream-to="$OUT/relayed" >"$OUT/reader" 2>&1
    kill "$!"
    wait "$!"
}
exit 0
