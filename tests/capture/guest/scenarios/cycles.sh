# shellcheck shell=dash source=/dev/null
. /lab/lib.sh
# A hundred losses of the signal: memory and open files must stay as they were.
broker
vivid hdmi
timings "$VGA"
watching 'input = "v4l2:/dev/video0"'
count() { echo "$1 $(find "/proc/$PICKET/fd" -type l | wc -l) $(grep VmRSS "/proc/$PICKET/status" | tr -dc 0-9)" >>"$OUT/counts"; }
for cycle in $(seq 100); do
    ctl -c dv_timings_signal_mode=1
    usleep 300000
    ctl -c dv_timings_signal_mode=4
    usleep 500000
    case $cycle in *0) count "$cycle" ;; esac
done
sleep 3
count end
verdict ok 5 || fail "no picture after a hundred losses"
alive
picket_down
