# shellcheck shell=dash source=/dev/null
. /lab/lib.sh
# The cable is pulled, carries what cannot be locked to, and something out of range; each time it comes back.
broker
vivid hdmi
timings "$VGA"
watching 'input = "v4l2:/dev/video0"'
for mode in 1 2 3; do
    next raised stream_loss 5 ctl -c dv_timings_signal_mode="$mode"
    sleep 2
    next cleared stream_loss 5 ctl -c dv_timings_signal_mode=4
    sleep 2
done
alive
picket_down
