# shellcheck shell=dash source=/dev/null
. /lab/lib.sh
# No picture at all: a card alone is a source.
broker
load snd_aloop
aplay -q -D hw:0,0,0 /lab/tone.wav &
player=$!
watching 'input = "alsa:hw:0,1"'
sleep 2
kill "$player"
wait "$player"
aplay -q -D hw:0,0,0 /lab/quiet.wav &
until_true 10 more raised silence 0 || fail "silence is not told"
alive
picket_down
