# shellcheck shell=dash source=/dev/null
. /lab/lib.sh
# The driver says that the device is gone, then it is bound again under Picket's feet.
broker
vivid camera
ctl -v width=320,height=180,pixelformat=YUYV -p 25
watching 'input = "v4l2:/dev/video0"'
for _ in 1 2; do
    next raised stream_loss 5 unbind
    sleep 2
    alive
    next cleared stream_loss 15 bind
    sleep 2
done
picket_down
