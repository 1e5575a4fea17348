# shellcheck shell=dash source=/dev/null
. /lab/lib.sh
# The driver loses buffers, flags them as damaged, refuses calls and dies; each time the capture must go on.
broker
vivid camera
ctl -v width=320,height=180,pixelformat=YUYV -p 25
watching 'input = "v4l2:/dev/video0"'
# What is lost is only told against how it was before.
sleep 5
mark drops
ctl -c percentage_of_dropped_buffers=50
sleep 4
ctl -c percentage_of_dropped_buffers=0
sleep 4
mark flagged
for _ in 1 2 3; do
    ctl -c inject_v4l2_buf_flag_error=0
    usleep 300000
done
sleep 1
alive
# What is refused only counts when a call is made: so the stream dies with it.
for refusal in none reqbufs qbuf streamon; do
    [ "$refusal" = none ] || ctl -c "inject_vidioc_${refusal}_error=0"
    mark "dies $refusal"
    next raised stream_loss 5 ctl -c inject_fatal_streaming_error=0
    verdict ok 12 || fail "no picture after: stream died, $refusal refused"
    mark "back $refusal"
    sleep 2
done
# For the counts that come with it.
next raised stream_loss 5 ctl -c inject_fatal_streaming_error=0
picket_down
