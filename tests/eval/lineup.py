"""Line-up signals: flashes with beeps on them, over moving pictures and a quiet room; and flashes and claps that have nothing to do with each other."""
import math
import random

import sounds

EVERY_S, FIRST_S, LIT_S, BEEP_S = 2.0, 1.0, 0.07, 0.06
ROOM_DBFS = -70


def beep(samples, at, level=0.25):
    """1 kHz from `at` on, the same on both channels."""
    first, last = sounds.span(samples, at, at + BEEP_S)
    for i in range(first, last, 2):
        value = int(sounds.FULL * level * math.sin(2 * math.pi * 1000 * (i - first) / 2 / sounds.RATE))
        samples[i] = samples[i + 1] = value


def clap(samples, at, chance):
    """A burst of noise that dies away in a twentieth of a second."""
    first, last = sounds.span(samples, at, at + 0.12)
    for i in range(first, last, 2):
        value = int(0.5 * sounds.FULL * chance.uniform(-1, 1) * math.exp(-(i - first) / 2 / sounds.RATE / 0.02))
        samples[i] = samples[i + 1] = value


def flash(clip, times):
    """A lit rectangle of a ninth of the picture for two pictures or so."""
    lit = "+".join(clip.between(at, at + LIT_S) for at in times)
    clip.filters.append(f"drawbox=x=iw/3:y=ih/3:w=iw/3:h=ih/3:c=white:t=fill:enable='{lit}'")


def quiet_room(clip, chance):
    seed = chance.randrange(1000)
    clip.sound_work.append(lambda s: sounds.silence(s, 0, clip.seconds, ROOM_DBFS, seed))
    for defect in ("silence", "loudness", "audio_dropout"):
        clip.ignored(defect, 0.0, clip.seconds, "a quiet room with beeps", policy=True)


def line_up(clip, chance, late_ms=0, mid=False):
    """A flash with a beep each two seconds, the beep late by so much, from the begin or from mid-stream on."""
    quiet_room(clip, chance)
    times = [clip.exact(FIRST_S + EVERY_S * n) for n in range(int((clip.seconds - FIRST_S) / EVERY_S))]
    flash(clip, times)
    wrong = times[2:] if mid else times
    for at in times:
        late = late_ms / 1000 if at in wrong else 0.0
        clip.sound_work.append(lambda s, at=at + late: beep(s, at))
    if late_ms > 65 or late_ms < -45:
        clip.label("av_sync", min(wrong[0], wrong[0] + late_ms / 1000), clip.seconds, f"{late_ms:+d}ms" + ("_mid" if mid else ""), offset_ms=late_ms)


def in_time(clip, chance, late_ms=0):
    """A line-up signal as it should be."""
    line_up(clip, chance, late_ms)


def by_chance(clip, chance):
    """Flashes and claps, each at a time of its own."""
    quiet_room(clip, chance)
    flash(clip, [clip.exact(chance.uniform(n, n + 0.8)) for n in range(1, int(clip.seconds) - 1, 2)])
    dice = random.Random(chance.randrange(1000))
    for n in range(1, int(clip.seconds) - 1, 2):
        clip.sound_work.append(lambda s, at=chance.uniform(n, n + 0.8): clap(s, at, dice))
