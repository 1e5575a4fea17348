# shellcheck shell=dash source=/dev/null
. /lab/lib.sh
# A picture with sound beside it: a tone, silence, a reader that was stopped for too long, and a card that goes and comes back.
broker
vivid camera
ctl -v width=320,height=180,pixelformat=YUYV -p 25
load snd_aloop
player() { aplay -q -D hw:0,0,0 "/lab/$1.wav" 2>>"$OUT/aplay.log" & PLAYER=$!; }
change() {
    kill "$PLAYER"
    wait "$PLAYER"
    player "$1"
}
player tone
watching 'input = "v4l2:/dev/video0"' 'audio = "alsa:hw:0,1"'
sleep 2
next raised silence 8 change quiet
next cleared silence 8 change tone
sleep 1
mark stopped
kill -STOP "$PICKET"
sleep 2
kill -CONT "$PICKET"
mark continued
sleep 4
alive
kill "$PLAYER"
wait "$PLAYER"
next raised stream_loss 8 card unbind
sleep 2
alive
back() { card bind && usleep 300000 && player tone; }
next cleared stream_loss 20 back
picket_down
