# shellcheck shell=dash source=/dev/null
. /lab/lib.sh
# Each pixel format that the driver offers of those that Picket reads: colour bars, seen by Picket and by v4l2-ctl.
broker
vivid camera ${PLANES:+multiplanar=$PLANES}
ctl --list-formats >"$OUT/offered"
grey() { case $1 in GREY | Y1*) ;; *) false ;; esac }
seen=0
while read -r format; do
    # A fourth letter may be a space, for which a line and a file's name have an underscore.
    code=$(echo "$format" | tr _ ' ')
    grep -q "'$code'" "$OUT/offered" || continue
    ctl -v width=320,height=180,pixelformat="$code" -p 25 >/dev/null 2>&1
    ctl -V | grep 'Pixel Format' >"$OUT/$format.format"
    ctl -c test_pattern=0,horizontal_movement=3,vertical_movement=3
    ctl --stream-mmap=4 --stream-count=1 --stream-to="$OUT/$format.raw" >/dev/null 2>&1
    : >"$OUT/heard" && : >"$OUT/pictures"
    picket_up 'input = "v4l2:/dev/video0"'
    if grey "$format"; then
        # Without colour they are no bars: what brings a picture of them is that they stand still after they moved.
        ctl -c horizontal_movement=5
        sleep 3
        ctl -c horizontal_movement=3
        until_true 6 test -s "$OUT/pictures" || echo "$format: no picture"
    else
        until_true 6 more raised colour_bars 0 || echo "$format: no colour_bars"
        until_true 2 test -s "$OUT/pictures"
    fi
    picket_down
    cp "$OUT/heard" "$OUT/$format.heard"
    tail -1 "$OUT/pictures" >"$OUT/$format.jpeg.hex"
    seen=$((seen + 1))
done <"/lab/${FORMATS:-formats}"
[ "$seen" -gt 0 ] || fail "the driver offers none"
