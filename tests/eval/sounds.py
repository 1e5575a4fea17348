"""What the clips sound like, near -23 LUFS, and the defects of sound: exact to the sample, on 16-bit stereo at 48 kHz."""
import array
import hashlib
import random
import re
import subprocess
import wave
from pathlib import Path

RATE = 48_000
TARGET_LUFS = -23.0
FULL = 32_767

SPEECH = ("The river rose again last night, and the bridge at the old mill is closed. Drivers are asked to go by the upper road. "
          "It will rain until noon. Then the wind turns to the west, and the afternoon will be dry. In the evening it will be cold, with some frost on the hills. "
          "The museum opens a new room today. It shows clocks from four hundred years, and most of them still go.")

# name: (package and member, or None, lavfi graph, or filters of the member)
SOUNDS = {
    "chords": (None, "aevalsrc=exprs='(0.10*sin(2*PI*196*t)+0.08*sin(2*PI*247*t)+0.07*sin(2*PI*294*t+2*sin(2*PI*4*t)))*(0.6+0.4*sin(2*PI*0.43*t))"
               "|(0.10*sin(2*PI*196*t)+0.08*sin(2*PI*294*t)+0.06*sin(2*PI*392*t))*(0.6+0.4*sin(2*PI*0.29*t+1))':s=48000[a];"
               "anoisesrc=c=pink:r=48000:a=0.10:seed=3,tremolo=f=0.6:d=0.7,aformat=channel_layouts=stereo[b];[a][b]amix=inputs=2:normalize=0"),
    "street": (None, "anoisesrc=c=brown:r=48000:a=0.5:seed=8,tremolo=f=0.2:d=0.5[l];anoisesrc=c=pink:r=48000:a=0.3:seed=9,tremolo=f=0.31:d=0.6[r];[l][r]join=inputs=2:channel_layout=stereo"),
    "speech": (None, f"flite=voice=slt:text='{SPEECH}',aresample=48000,aformat=channel_layouts=stereo"),
    "music": (("iscc-samples", "files/audio/demo.wav"), "aresample=48000,aformat=channel_layouts=stereo"),
    "concert": (("iscc-samples", "files/video/demo.mp4"), "atrim=start=6,aresample=48000,aformat=channel_layouts=stereo"),
}
FALLBACK = "chords"  # where a package cannot be had: what is heard matters less than that the clip exists


class Sounds:
    """Sounds as interleaved samples, rendered once into the cache."""

    def __init__(self, library, seconds=62):
        self.library = library
        self.seconds = seconds
        self.kept = {}

    def has(self, name):
        return SOUNDS[name][0] is None or self.library.sound(*SOUNDS[name][0]) is not None

    def samples(self, name):
        """The whole sound, endlessly repeatable."""
        if not self.has(name):
            name = FALLBACK
        if name not in self.kept:
            source, graph = SOUNDS[name]
            path = self.library.cache / "masters" / f"{name}-{hashlib.sha256(repr((source, graph, self.seconds)).encode()).hexdigest()[:10]}.s16"
            if not path.is_file():
                path.parent.mkdir(parents=True, exist_ok=True)
                try:
                    render(graph, self.library.sound(*source) if source else None, self.seconds, path)
                except subprocess.CalledProcessError as error:  # an FFmpeg without flite
                    if name == FALLBACK:
                        raise
                    print(f"eval: SKIPPED the sound '{name}': {error.stderr.strip().splitlines()[-1][:160]}; {FALLBACK} instead")
                    self.kept[name] = self.samples(FALLBACK)
                    return self.kept[name]
            samples = array.array("h")
            samples.frombytes(path.read_bytes())
            self.kept[name] = samples
        return self.kept[name]

    def cut(self, name, start, seconds):
        """A stretch of a sound, from `start` seconds on."""
        whole = self.samples(name)
        first = 2 * int(start * RATE) % len(whole)
        wanted = 2 * round(seconds * RATE)
        out = array.array("h")
        while len(out) < wanted:
            out.extend(whole[first:first + wanted - len(out)])
            first = 0
        return out


def render(graph, path, seconds, out):
    """Two passes: how loud it is, then the same with that put right."""
    source = ["-i", str(path)] if path else []
    graph = f"[0:a:0]{graph}" if path else graph
    base = ["ffmpeg", "-nostdin", "-y", "-hide_banner", *source, "-filter_complex"]
    heard = subprocess.run([*base, f"{graph},ebur128=framelog=verbose[a]", "-map", "[a]", "-t", str(seconds), "-f", "null", "-"], capture_output=True, text=True, check=True)
    loudness = float(re.findall(r"I:\s+(-?[\d.]+) LUFS", heard.stderr)[-1])
    gain = TARGET_LUFS - loudness
    part = Path(f"{out}.part")
    subprocess.run([*base, f"{graph},volume={gain:.2f}dB,alimiter=limit=0.8:level=0[a]", "-map", "[a]", "-t", str(seconds), "-v", "error",
                    "-c:a", "pcm_s16le", "-f", "s16le", str(part)], capture_output=True, text=True, check=True)
    part.rename(out)


def write(samples, path):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())


def span(samples, start, end):
    """The index range of a stretch, in samples of both channels."""
    return 2 * round(start * RATE), min(2 * round(end * RATE), len(samples))


def clip16(value):
    return -FULL if value < -FULL else FULL if value > FULL else int(value)


def gain(samples, start, end, decibels):
    a, b = span(samples, start, end)
    factor = 10 ** (decibels / 20)
    samples[a:b] = array.array("h", (clip16(v * factor) for v in samples[a:b]))


def silence(samples, start, end, floor_dbfs=None, seed=1, channels=(0, 1)):
    """Digital zero, or noise of an RMS level, on some channels."""
    a, b = span(samples, start, end)
    chance = random.Random(seed)
    sigma = 0 if floor_dbfs is None else FULL * 10 ** (floor_dbfs / 20)
    for c in channels:
        n = len(range(a + c, b, 2))
        samples[a + c:b:2] = array.array("h", (round(chance.gauss(0, sigma)) for _ in range(n)) if sigma else bytes(2 * n))


def invert(samples, start, end):
    """The right channel against the left: mono material with one wire crossed."""
    a, b = span(samples, start, end)
    samples[a + 1:b:2] = array.array("h", (-v if v > -FULL else FULL for v in samples[a + 1:b:2]))


def to_mono(samples):
    """Both channels the same."""
    mixed = array.array("h", ((left + right) // 2 for left, right in zip(samples[0::2], samples[1::2])))
    samples[0::2] = mixed
    samples[1::2] = mixed


def overdrive(samples, start, end, decibels, ceiling):
    a, b = span(samples, start, end)
    factor, top = 10 ** (decibels / 20), int(FULL * ceiling)
    samples[a:b] = array.array("h", (int(min(max(v * factor, -top), top)) for v in samples[a:b]))


def stuck(samples, start, end, period=0.012):
    """The last few milliseconds again and again, as a starved device plays its buffer."""
    a, b = span(samples, start, end)
    piece = samples[a - 2 * int(period * RATE):a]
    filled = piece * ((b - a) // len(piece) + 1)
    samples[a:b] = filled[:b - a]


def click(samples, at, width=6, level=0.9):
    """A few samples at full level, alternating, as a lost sample clock makes."""
    a = 2 * round(at * RATE)
    for i in range(width):
        for c in range(2):
            samples[a + 2 * i + c] = int(FULL * level * (1 if i % 2 == 0 else -1))
