# shellcheck shell=dash source=/dev/null
. /lab/lib.sh
# An application that needs the node's pictures reads them from a v4l2loopback node that Picket fills.
broker
load v4l2loopback video_nr=7
vivid camera
ctl -v width=320,height=180,pixelformat=YUYV -p 25
ctl -c test_pattern=0,horizontal_movement=3,vertical_movement=3
picket_up 'input = "v4l2:/dev/video0"' 'relay = "/dev/video7"'
sleep 3
begin=$(used "$PICKET")
v4l2-ctl -d /dev/video7 -V >"$OUT/format" 2>&1
v4l2-ctl -d /dev/video7 --stream-mmap=4 --stream-count=50 --stream-to="$OUT/relayed" --verbose >"$OUT/stream" 2>&1
echo "picket with relay, microseconds while 50 pictures pass: $(($(used "$PICKET") - begin))"
picket_down
ctl --stream-mmap=4 --stream-count=1 --stream-to="$OUT/direct" >/dev/null 2>&1
