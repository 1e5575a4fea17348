# shellcheck shell=dash source=/dev/null
. /lab/lib.sh
# A device is an input of `picket analyze` as a file is.
vivid camera
ctl -v width=320,height=180,pixelformat=YUYV -p 25
ctl -c test_pattern=0,horizontal_movement=3,vertical_movement=3
picket analyze v4l2:/dev/video0 --format ndjson >"$OUT/events" 2>"$OUT/complaints" &
until_true 8 grep -q colour_bars "$OUT/events" || fail "colour bars are not told: $(tail -1 "$OUT/complaints")"
kill -INT "$!"
wait "$!"
echo "$?" >"$OUT/exit"
picket analyze v4l2:/dev/video9 >"$OUT/missing" 2>&1
echo "$?" >"$OUT/missing.exit"
