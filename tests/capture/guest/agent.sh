# shellcheck shell=dash
# Runs the scenarios of /lab/todo, one a line: NAME SECONDS. What one leaves behind is ended before the next.
export HOME=/tmp
uptime() { cut -d' ' -f1 /proc/uptime; }
while read -r name seconds; do
    export OUT="/tmp/out/$name" WORK="/tmp/work/$name"
    mkdir -p "$OUT" "$WORK"
    echo "MARK begin $name $(uptime)"
    timeout "$seconds" sh "/lab/scripts/$name.sh" >"$OUT/log" 2>&1 </dev/null
    result=$?
    killall -q -9 picket ffmpeg v4l2-ctl mosquitto mosquitto_sub arecord aplay
    sleep 0.1
    for module in v4l2loopback vivid snd_dummy snd_aloop; do
        ! grep -q "^$module " /proc/modules || rmmod "$module" || echo "MARK stuck $module"
    done
    dmesg -c >"$OUT/dmesg"
    cp -r "$OUT" /host/
    rm -rf "$OUT" "$WORK"
    echo "MARK end $name $result $(uptime)"
done </lab/todo
