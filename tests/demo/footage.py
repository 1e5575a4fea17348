"""Footage for the demo: a moving, noisy picture and living sound, with defects planted at known times, as one MPEG-TS file.

Black, freeze and silence are made before encoding. Block corruption is made afterwards, by losing packets of the transport stream,
as a bad line does; the loss of the stream is the sender's pause. Times are seconds of footage.
"""
import hashlib
import random
import subprocess
from dataclasses import dataclass
from pathlib import Path

import ts

FPS = 25
GOP_S = 2  # an IDR picture every 2 s: damage ends there, and the stream resumes there
LOSS, FLIPS = 0.02, 0.01  # shares of the video packets


@dataclass(frozen=True)
class Plant:
    """One planted defect."""

    defect: str
    start: float
    end: float
    how: str


PLANTS = (
    Plant("black", 8.0, 14.0, "the picture goes black, the sound goes on"),
    Plant("freeze", 19.0, 26.0, "the picture stands still under camera noise"),
    Plant("silence", 30.0, 37.0, "the sound goes away, the picture goes on"),
    Plant("block_corruption", 40.0, 46.0, "packets of the video are lost on the way"),
    # The sender pauses for this long at `start`; footage goes on where it stopped.
    Plant("stream_loss", 52.0, 58.0, "nothing is sent any more"),
)
LENGTH_S = 58.0  # of footage; the pause comes on top of it


def plant(defect, plants=PLANTS):
    return next(p for p in plants if p.defect == defect)


def filter_graph():
    """A slow pan over a rich still scene, two things that move across it, and grain over all of it."""
    black, freeze, silence = plant("black"), plant("freeze"), plant("silence")
    first, last = int(freeze.start * FPS), int(freeze.end * FPS) - 1
    edge = 0.5 / FPS  # half a picture, so that float times never decide
    return ";".join([
        "mandelbrot=s=3840x2160:r=25:start_scale=0.012:start_x=-0.743643887037151:start_y=-0.131825904205330:maxiter=600,"
        f"trim=end_frame=1,gblur=sigma=6,hue=s=0.45,loop=loop=-1:size=1,settb=1/{FPS},setpts=N,"
        # Panned at twice the size, so that it moves by half pixels: a jerky pan would be a defect of its own.
        "format=yuv444p,crop=2560:1440:x='640+620*sin(t/3.1)':y='360+340*sin(t/2.3+1)',scale=1280:720:flags=bilinear,format=yuv420p[scene]",
        "testsrc2=s=240x160:r=25,hue=s=0.6,boxblur=3[card]",
        f"life=s=160x90:r={FPS}:mold=10:ratio=0.3:seed=11:life_color=#c8b090:death_color=#405060:mold_color=#506850,scale=240:136,boxblur=3[crowd]",
        "[scene][card]overlay=x='520+480*sin(t*0.9)':y='280+200*cos(t*0.7)':shortest=0[one]",
        "[one][crowd]overlay=x='500-450*sin(t*0.5)':y='300+250*sin(t*0.6)'[moving]",
        f"[moving]fps={FPS},split[live][still]",
        f"[live][still]freezeframes=first={first}:last={last}:replace={first}[held]",
        f"[held]drawbox=c=black:t=fill:enable='between(t,{black.start - edge},{black.end - edge})',"
        "noise=alls=7:allf=t:all_seed=5,format=yuv420p[v]",
        "aevalsrc=exprs='(0.10*sin(2*PI*220*t)+0.08*sin(2*PI*277.2*t)+0.07*sin(2*PI*329.6*t))*(0.55+0.45*sin(2*PI*0.37*t))"
        "|(0.10*sin(2*PI*220*t)+0.08*sin(2*PI*329.6*t)+0.07*sin(2*PI*440*t))*(0.55+0.45*sin(2*PI*0.31*t+1))':s=48000[tones]",
        "anoisesrc=c=pink:r=48000:a=0.12:seed=3,tremolo=f=0.7:d=0.8,aformat=channel_layouts=stereo[air]",
        f"[tones][air]amix=inputs=2:normalize=0,volume=0:enable='between(t,{silence.start},{silence.end})',asetnsamples=1152[a]",
    ])


def encode_command(path):
    return ["ffmpeg", "-nostdin", "-v", "error", "-y", "-filter_complex", filter_graph(), "-map", "[v]", "-map", "[a]", "-t", str(LENGTH_S),
            "-c:v", "libx264", "-preset", "veryfast", "-bf", "0", "-g", str(FPS * GOP_S), "-keyint_min", str(FPS * GOP_S), "-sc_threshold", "0", "-slices", "8",
            "-crf", "25", "-maxrate", "14M", "-bufsize", "14M", "-c:a", "mp2", "-b:a", "192k",
            "-muxdelay", "0.2", "-muxpreload", "0.2", "-pat_period", "0.2", "-f", "mpegts", str(path)]


def damage(data, start, end, seed=1):
    """Loses and flips packets of the video between two times of footage; leaves the packet in which a picture begins whole."""
    chance = random.Random(seed)
    index = ts.Index(data)
    out = bytearray()
    lost = 0
    for i in range(len(data) // ts.PACKET):
        packet = data[i * ts.PACKET:(i + 1) * ts.PACKET]
        if ts.pid(packet) == index.video_pid and start <= index.footage_time(i) < end and not ts.starts_unit(packet):
            draw = chance.random()
            if draw < LOSS:
                lost += 1
                continue
            if draw < LOSS + FLIPS and ts.payload_start(packet) < 60:
                packet = bytearray(packet)
                packet[chance.randrange(100, ts.PACKET)] ^= 0x5A
        out += packet
    return bytes(out), lost


def make(cache, log=print):
    """The finished transport stream, made once and kept in `cache` until its recipe changes."""
    cache = Path(cache)
    recipe = " ".join(encode_command("")) + repr(PLANTS) + Path(__file__).read_text() + Path(ts.__file__).read_text()
    finished = cache / f"footage-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}.ts"
    if finished.is_file():
        return finished
    cache.mkdir(parents=True, exist_ok=True)
    log("making the footage with FFmpeg (once) ...")
    whole = cache / "footage.part.ts"
    subprocess.run(encode_command(whole), check=True, start_new_session=True)
    corrupt = plant("block_corruption")
    data, lost = damage(whole.read_bytes(), corrupt.start, corrupt.end)
    log(f"{len(data) / 1e6:.0f} MB of footage, {lost} packets lost on purpose")
    part = cache / "footage.done.ts"
    part.write_bytes(data)
    part.rename(finished)
    for old in (whole, *cache.glob("footage-*.ts")):
        if old != finished:
            old.unlink()
    return finished
