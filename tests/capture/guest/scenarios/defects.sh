# shellcheck shell=dash source=/dev/null
. /lab/lib.sh
# The driver's picture stands still, turns black, turns to bars: each is told and ends.
broker
vivid camera
ctl -v width=320,height=180,pixelformat=YUYV -p 25
watching 'input = "v4l2:/dev/video0"'
sleep 2
next raised freeze 6 ctl -c horizontal_movement=3,vertical_movement=3
next cleared freeze 6 programme
sleep 1
next raised black 6 ctl -c test_pattern=5
next cleared black 6 programme
sleep 1
next raised colour_bars 6 ctl -c test_pattern=0,horizontal_movement=3,vertical_movement=3
next cleared colour_bars 6 programme
sleep 1
alive
picket_down
