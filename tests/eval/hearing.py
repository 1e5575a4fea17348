"""Defects of sound, planted into a clip's samples at a time and a strength that the clip's own dice choose."""
import sounds


def stretch(clip, chance, least=2.6, most=4.0):
    start = round(chance.uniform(3.0, 4.4), 3)
    return start, min(round(start + chance.uniform(least, most), 3), clip.seconds - 0.8)


def silence(clip, chance, floor=None):
    start, end = stretch(clip, chance)
    seed = chance.randrange(1000)
    clip.sound_work.append(lambda s: sounds.silence(s, start, end, floor, seed))
    clip.label("silence", start, end, "zero" if floor is None else f"floor{floor}")


def channel_loss(clip, chance, floor=None):
    start, end = stretch(clip, chance, 4.0, 5.0)
    seed, channel = chance.randrange(1000), chance.randrange(2)
    clip.sound_work.append(lambda s: sounds.silence(s, start, end, floor, seed, (channel,)))
    clip.label("channel_loss", start, end, "zero" if floor is None else f"floor{floor}", channel=channel)


def clipping(clip, chance, decibels=14, ceiling=0.98):
    start, end = stretch(clip, chance)
    clip.sound_work.append(lambda s: sounds.overdrive(s, start, end, decibels, ceiling))
    clip.label("clipping", start, end, f"drive{decibels}_ceiling{ceiling}")


def phase(clip, chance):
    start, end = stretch(clip, chance, 3.8, 5.0)
    clip.sound_work.append(sounds.to_mono)
    clip.sound_work.append(lambda s: sounds.invert(s, start, end))
    clip.label("phase", start, end, "inverted")


def loudness(clip, chance, decibels=10):
    """A jump of the programme; long enough that the short-term measure (3 s) follows."""
    start = round(chance.uniform(8.0, 9.5), 3)
    end = round(start + chance.uniform(7.0, 8.0), 3)
    clip.sound_work.append(lambda s: sounds.gain(s, start, end, decibels))
    clip.label("loudness", start, end, f"jump{decibels:+d}dB")


def dropouts(clip, chance, look="gap", number=3):
    """Gaps of zeroes, or the last buffer again and again; each is a label."""
    at = 2.0
    for _ in range(number):
        at = round(at + chance.uniform(1.4, 2.2), 3)
        long = round(chance.uniform(0.03, 0.22), 3)
        end = round(at + long, 3)
        work = (lambda s, a=at, b=end: sounds.silence(s, a, b)) if look == "gap" else (lambda s, a=at, b=end: sounds.stuck(s, a, b))
        clip.sound_work.append(work)
        clip.label("audio_dropout", at, end, f"{look}{round(long * 1000)}ms")


def clicks(clip, chance, number=6):
    """A run of clicks is one label, from the first to the last."""
    start = round(chance.uniform(3.0, 4.0), 3)
    times = [round(start + 0.5 * i + chance.uniform(-0.15, 0.15) * (i > 0), 3) for i in range(number)]
    for at in times:
        clip.sound_work.append(lambda s, at=at: sounds.click(s, at))
    clip.label("audio_dropout", times[0], times[-1] + 0.01, "clicks")
