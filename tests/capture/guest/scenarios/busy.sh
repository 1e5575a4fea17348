# shellcheck shell=dash source=/dev/null
. /lab/lib.sh
# Another program holds the node when Picket starts, and lets go.
broker
vivid camera
ctl -v width=320,height=180,pixelformat=YUYV -p 25
v4l2-ctl -d "$NODE" --stream-mmap=4 >/dev/null 2>&1 &
holder=$!
usleep 500000
echo "$holder" >"$OUT/holder"
picket_up 'input = "v4l2:/dev/video0"'
sleep 4
alive
mark free
kill "$holder"
verdict ok 15 || fail "the node is free and Picket does not take it"
mark taken
picket_down
