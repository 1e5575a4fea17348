"""Varied footage in which nothing is wrong: all contents again and again, in other cuts, sizes, rates and codecs, joined by cuts and dissolves.

One file of some minutes per coding, as a channel keeps its format; a scene of one to three shots is rendered at a time.
"""
import random
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cases
import sounds
from clip import Clip, Coding
from footage import CONTENTS

FILE_MINUTES = 4.0
FORMATS = ("640x360@25", "720x576@25", "640x480@29.97", "854x480@23.976", "960x540@25", "1280x720@25", "640x360@50", "720x576@25", "1280x720@29.97")
CODINGS = ("h264:23", "mpeg2:4000:0.5", "hevc:27", "h264:28:4", "h264:21:1:4", "mpeg2:2500:1", "h264:1500:2")
GRADES = ("null", "eq=saturation=0.7", "eq=brightness=0.04:contrast=1.08", "colorbalance=rs=.08:bs=-.06", "eq=brightness=-0.06", "noise=c0s=6:c0f=t", "hflip", "noise=c0s=12:c0f=t:all_seed=3")
DISSOLVE_S = 0.8


def scene(chance, names, rate):
    """(filter graph and contents of a scene, its pictures): shots that dissolve into each other."""
    shots = []
    for _ in range(chance.choice((1, 1, 2, 3))):
        # A dissolve from a content to the same one with noise on it would be the defect.
        name = chance.choice([n for n in names if not shots or n != shots[-1][0]])
        pictures = round(chance.uniform(3.5, 11.0) * rate)
        shots.append((name, chance.randrange(0, CONTENTS[name].pictures // 2), pictures, chance.choice(GRADES)))
    return shots


def scene_command(shots, width, height, rate, library):
    """FFmpeg's words for a scene as raw pictures on standard output, and how many pictures come."""
    words, parts = ["ffmpeg", "-nostdin", "-v", "error", "-filter_complex_threads", "1"], []
    for i, (name, first, pictures, grade) in enumerate(shots):
        words += ["-threads", "1", "-stream_loop", "-1", "-i", str(library.master(name))]
        parts.append(f"[{i}:v]trim=start_frame={first}:end_frame={first + pictures},settb=1/90000,setpts=N/({rate})/TB,fps={rate},"
                     f"scale={width}:{height}:force_original_aspect_ratio=increase:flags=bicubic,crop={width}:{height},setsar=1,{grade},format=yuv420p[s{i}]")
    last, over = "[s0]", round(DISSOLVE_S * rate)
    total = shots[0][2]
    for i in range(1, len(shots)):
        parts.append(f"{last}[s{i}]xfade=duration={float(over / rate):.5f}:offset={float((total - over) / rate):.5f}[x{i}]")
        last, total = f"[x{i}]", total + shots[i][2] - over
    return words + ["-filter_complex", ";".join(parts), "-map", last, "-fps_mode", "passthrough", "-pix_fmt", "yuv420p", "-f", "rawvideo", "-"], total


def one_file(index, minutes, seed, library, heard, out):
    """The entry of one file of the clean run."""
    chance = random.Random(seed * 1000 + index)
    form, coding = FORMATS[index % len(FORMATS)], CODINGS[index % len(CODINGS)]
    size, _, rate = form.partition("@")
    width, height = (int(n) for n in size.split("x"))
    codec, quality, *more = coding.split(":")
    clip = Clip(f"clean_{index:02d}_{codec}_{size}_{rate}", "negative", [], width, height, cases.RATES.get(rate) or cases.Fraction(rate), minutes * 60,
                Coding(cases.CODECS[codec], int(quality), float(more[0]) if more else 2.0, int(more[1]) if len(more) > 1 else 1), "mixed", hard="clean_run")
    path = out / "media" / f"{clip.id}.ts"
    path.parent.mkdir(parents=True, exist_ok=True)
    names = [n for n in CONTENTS if library.has(n)]
    wav = path.with_suffix(".wav")
    sounds.write(programme(chance, heard, clip.seconds), wav)
    words = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", size, "-r", str(clip.fps), "-i", "-", "-i", str(wav), "-t", str(clip.seconds),
             *clip.coding.words(clip.fps), "-threads", "1", "-c:a", "aac", "-b:a", "128k", "-fflags", "+bitexact", "-f", "mpegts", str(path)]
    left = round(clip.seconds * clip.fps)
    with subprocess.Popen(words, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as coder:
        while left > 0:
            shots = scene(chance, names, clip.fps)
            clip.shots += [(name, first, pictures) for name, first, pictures, _ in shots]
            command, _ = scene_command(shots, width, height, clip.fps, library)
            left -= pour(command, coder.stdin, width * height * 3 // 2, left)
        coder.stdin.close()
        if coder.wait():
            raise RuntimeError(f"{clip.id}: the encoder failed")
    wav.unlink()
    return clip.entry(path)


def pour(command, sink, size, most):
    """Hands on at most `most` pictures of a scene; how many came. The last scene's complaint that nobody reads on is not heard."""
    count = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as source:
        while count < most and len(picture := source.stdout.read(size)) == size:
            sink.write(picture)
            count += 1
        source.stdout.close()
        source.wait()
    if count == 0:
        raise RuntimeError(f"no pictures came of: {' '.join(command)}")
    return count


def programme(chance, heard, seconds):
    """Sound without a pause: pieces of all sounds, each faded in and out over the other for a fifth of a second."""
    out = heard.cut("street", 0, 0)
    over = 2 * round(0.2 * sounds.RATE)
    while len(out) < 2 * seconds * sounds.RATE:
        piece = heard.cut(chance.choice(list(sounds.SOUNDS)), chance.uniform(0, 30), chance.uniform(8, 25))
        if out:
            for i in range(over):
                share = i / over
                out[len(out) - over + i] = int(out[len(out) - over + i] * (1 - share) + piece[i] * share)
            piece = piece[over:]
        out.extend(piece)
    return out[:2 * round(seconds * sounds.RATE)]


def make(minutes, seed, library, heard, out, jobs):
    """(entries, notes) of the whole run."""
    files = max(1, round(minutes / FILE_MINUTES))
    for name in sounds.SOUNDS:
        heard.samples(name)
    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(library.master, [n for n in CONTENTS if library.has(n)]))
        entries = list(pool.map(lambda i: one_file(i, minutes / files, seed, library, heard, Path(out)), range(files)))
    lacking = [n for n in CONTENTS if not library.has(n)]
    return entries, [f"SKIPPED in the clean run: {', '.join(lacking)}"] if lacking else []
