# shellcheck shell=dash source=/dev/null
. /lab/lib.sh
# A hundred losses of the signal: memory and open files must stay as they were.
broker
vivid hdmi
timings "$VGA" && ctl --set-dv-bt-timings query >/dev/null && ctl -v width=160,height=120
watching 'input = "v4l2:/dev/video0"'
count() { echo "$1 $(find "/proc/$PICKET/fd" -type l | wc -l) $(grep VmRSS "/proc/$PICKET/status" | tr -dc 0-9)" >>"$OUT/counts"; }
for cycle in $(seq 100); do
    ctl -c dv_timings_signal_mode=1
    usleep 250000
    ctl -c dv_timings_signal_mode=4
    usleep 400000
    case $cycle in *0) count "$cycle" ;; esac
done
mark end
sleep 3
count end
# What came and went so often is called over late.
verdict ok 100 || fail "no picture within 100 s after a hundred losses"
mark good
alive
picket_down
