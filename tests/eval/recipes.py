"""Defects of the picture and of the stream, each planted into a clip at a time and a strength that the clip's own dice choose.

A recipe takes (clip, chance) and writes filters, labels and work into the clip. Filters hold for whole pictures, so labels are exact.
"""
import random
import subprocess
from pathlib import Path

import stream

CLOCK = "drawtext=text='%{pts\\:hms}':x=w*0.06:y=h*0.07:fontsize=h/13:fontcolor=white:box=1:boxcolor=black@0.8"
TICKER = ("drawtext=text='Harbour open again after the storm   +++   Trains on the northern line run every half hour   +++   Market up two percent':"
          "x='w-mod(t*w/5,w*3)':y=h-h/11:fontsize=h/17:fontcolor=white:box=1:boxcolor=0x203080:boxborderw=6")


def when(clip, chance, least=2.4, most=3.6):
    """A start in the first half and an end, both on pictures."""
    start = clip.exact(chance.uniform(2.8, 4.2))
    return start, min(clip.exact(start + chance.uniform(least, most)), clip.exact(clip.seconds - 1.0))


def black(clip, chance, luma=16, noise=0):
    start, end = when(clip, chance)
    clip.filters.append(f"lutyuv=y={luma}:u=128:v=128:enable='{clip.between(start, end)}'")
    if noise:
        clip.filters.append(f"noise=c0s={noise}:c0f=t:all_seed={chance.randrange(1000)}")
    clip.label("black", start, end, f"luma{luma}" + (f"_noise{noise}" if noise else ""))


def solid_colour(clip, chance, yuv=(0, 0, 0)):
    start, end = when(clip, chance)
    clip.filters.append(f"lutyuv=y={yuv[0]}:u={yuv[1]}:v={yuv[2]}:enable='{clip.between(start, end)}'")
    clip.label("solid_colour", start, end, "yuv" + "_".join(map(str, yuv)))


def colour_bars(clip, chance, source="smptehdbars", noise=0, tone=False):
    start, end = when(clip, chance, 3.0, 4.5)
    grain = f",noise=alls={noise}:allf=t:all_seed=4" if noise else ""
    clip.filters.append(f"null[p];{source}=s={clip.width}x{clip.height}:r={clip.fps},format=yuv420p{grain}[bars];[p][bars]overlay=enable='{clip.between(start, end)}':shortest=1")
    if tone:
        clip.sound_work.append(lambda samples: tone_between(samples, start, end))
    clip.label("colour_bars", start, end, source + (f"_noise{noise}" if noise else ""))


def tone_between(samples, start, end):
    import math
    first, last = 2 * round(start * 48000), 2 * round(end * 48000)
    for i in range(first, min(last, len(samples)), 2):
        samples[i] = samples[i + 1] = int(4100 * math.sin(2 * math.pi * 1000 * i / 96000))


def freeze(clip, chance, noise=0, overlay="", least=2.4, most=3.6, at_end=False):
    start, end = when(clip, chance, least, most)
    if at_end:
        end = clip.seconds
    clip.filters.append(f"select='not({clip.between(start, end)})',fps={clip.fps}" + (f",tpad=stop_mode=clone:stop_duration={end - start + 1:.2f}" if at_end else ""))
    if overlay:
        clip.filters.append(overlay)
    if noise:
        clip.filters.append(f"noise=c0s={noise}:c0f=t:all_seed={chance.randrange(1000)}")
    name = {CLOCK: "clock", TICKER: "ticker"}.get(overlay, "exact")
    clip.label("freeze", start, end, f"noise{noise}" if noise else name)


def keyframe_pulse(clip, chance):
    """So few bits that the frozen picture refines and pulses with each key picture."""
    freeze(clip, chance, least=3.2, most=4.2)
    clip.labels[-1]["variant"] = "keyframe_pulse"


def burst(clip, chance, width=1.2):
    """A stretch in which packets are damaged; what is seen of it is measured afterwards."""
    start = chance.uniform(2.6, 4.0)
    return start, start + chance.uniform(0.6, width)


def damaged(clip, path, how, name, burned=False, concealed=True):
    """Damages the finished file until something is seen of it, and labels that."""
    whole = path.with_suffix(".clean.ts")
    path.rename(whole)
    data = whole.read_bytes()
    for strength in (1.0, 2.0, 4.0, 8.0):
        path.write_bytes(how(data, strength))
        if burned:
            burn(clip, path, concealed)
        seen, faint = stream.visible(whole, path, clip.width, clip.height, clip.fps)
        if any(peak > 0.012 for _, _, peak in seen):
            break
    whole.unlink()
    for start, end, peak in seen:
        severity = "minor" if peak < 0.02 else "major" if peak < 0.15 else "severe"
        clip.label("block_corruption", start, end, name, severity, area=round(peak, 3))
    for start, end, _ in faint:
        clip.ignored("block_corruption", start, end, "damage below the visibility rule may be seen here")
    if faint:
        clip.ignored("block_corruption", faint[0][0], faint[-1][1], "damage below the visibility rule may be seen here")


def burn(clip, path, concealed):
    """Decodes the damaged stream and codes it anew: only the pixels tell."""
    raw = path.with_suffix(".burned.ts")
    words = ["ffmpeg", "-nostdin", "-v", "quiet", "-y", "-threads", "1", *([] if concealed else ["-ec", "0"]), "-i", str(path), "-vf", f"setpts=PTS-STARTPTS,fps={clip.fps}",
             "-map", "0:v", "-map", "0:a?", "-c:a", "copy", "-c:v", "libx264", "-preset", "veryfast", "-crf", "17", "-threads", "1", "-fflags", "+bitexact", "-f", "mpegts", str(raw)]
    subprocess.run(words, check=False)
    raw.replace(path)


def lost_packets(clip, chance, share=0.03, bursts=1, burned=False, concealed=True):
    start, end = burst(clip, chance)
    seed = chance.randrange(1 << 30)
    name = ("burned" if burned else "stream") + f"_lose_{clip.coding.codec}" + ("" if concealed else "_bare")
    clip.stream_work.append(lambda c, path: damaged(c, path, lambda data, k: stream.lose(data, start, end, min(share * k, 0.5), random.Random(seed), bursts), name, burned, concealed))


def flipped_bits(clip, chance, share=0.03, burned=False, concealed=True):
    start, end = burst(clip, chance)
    seed = chance.randrange(1 << 30)
    name = ("burned" if burned else "stream") + f"_flip_{clip.coding.codec}" + ("" if concealed else "_bare")
    clip.stream_work.append(lambda c, path: damaged(c, path, lambda data, k: stream.flip(data, start, end, min(share * k, 0.5), random.Random(seed)), name, burned, concealed))


def drawn_blocks(clip, chance, look="displaced", blocks=14, holds=5):
    """Blocks as a receiver leaves them: taken from elsewhere, grey, or green, each for some pictures."""
    start, end = when(clip, chance, 1.2, 2.2)
    chain = []
    first, stop = clip.picture(start), clip.picture(end)
    for i in range(blocks):
        size = chance.choice((16, 16, 32, 48))
        w, h = size * chance.choice((1, 2, 3)), 16
        x, y = 16 * chance.randrange((clip.width - w) // 16), 16 * chance.randrange((clip.height - h) // 16)
        a = first if i < 2 else chance.randrange(first, max(first + 1, stop - holds))
        b = stop - 1 if i >= blocks - 2 else min(a + chance.randint(holds, 3 * holds), stop - 1)
        held = f"enable='between(n,{a},{b})'"
        if look == "displaced":
            fx, fy = chance.randrange(0, clip.width - w, 2), chance.randrange(0, clip.height - h, 2)
            chain.append(f"split[m{i}][k{i}];[k{i}]crop={w}:{h}:{fx}:{fy}[b{i}];[m{i}][b{i}]overlay={x}:{y}:{held}")
        else:
            colour = {"grey": "0x808080", "green": "0x008700"}[look]
            chain.append(f"drawbox={x}:{y}:{w}:{h}:c={colour}:t=fill:{held}")
    clip.filters.append(",".join(chain))
    clip.label("block_corruption", start, end, f"synthetic_{look}", "minor")


def blur(clip, chance, sigma=3.0):
    start, end = when(clip, chance, 3.0, 4.5)
    clip.filters.append(f"gblur=sigma={sigma}:enable='{clip.between(start, end)}'")
    clip.label("blur", start, end, f"sigma{sigma}")


def monochrome(clip, chance, saturation=0.0):
    start, end = when(clip, chance, 3.0, 4.5)
    clip.filters.append(f"hue=s={saturation}:enable='{clip.between(start, end)}'")
    clip.label("monochrome", start, end, f"saturation{saturation}")


def noise(clip, chance, look="gaussian", strength=40):
    start, end = when(clip, chance)
    held = clip.between(start, end)
    if look == "gaussian":
        clip.filters.append(f"noise=alls={strength}:allf=t:all_seed={chance.randrange(1000)}:enable='{held}'")
    elif look == "snow":
        clip.filters.append(f"null[p];color=gray:s={clip.width // 2}x{clip.height // 2}:r={clip.fps},format=yuv420p,noise=c0s=100:c0f=t+u:all_seed=3,lutyuv=y='clip((val-126)*1.7+118,16,235)',"
                            f"scale={clip.width}:{clip.height}:flags=neighbor[snow];[p][snow]overlay=enable='{held}':shortest=1")
    else:
        many = strength / 1000
        clip.filters.append(f"null[p];nullsrc=s={clip.width // 8}x{clip.height}:r={clip.fps},format=gray,geq=lum='if(gt(random(1),{1 - many}),255,if(lt(random(1),{many}),0,128))',"
                            f"scale={clip.width}:{clip.height}:flags=neighbor,format=rgba,colorkey=0x808080:0.2:0[i];[p][i]overlay=enable='{held}':shortest=1")
    clip.label("noise", start, end, f"{look}{strength}" if look != "snow" else look)


def video_levels(clip, chance, look="over"):
    start, end = when(clip, chance, 2.6, 4.0)
    y = {"over": "clip(val*1.5+70,0,255)", "under": "16+(val-16)*0.16", "illegal": "clip((val-126)*1.55+126,0,255)"}[look]
    clip.filters.append(f"lutyuv=y='{y}':enable='{clip.between(start, end)}'")
    clip.label("video_levels", start, end, look)


def letterbox(clip, chance, look="masked", share=0.12):
    start = clip.exact(chance.uniform(3.0, 4.2))
    end = clip.exact(chance.uniform(7.8, 8.8))
    held = clip.between(start, end)
    bar = 2 * int(clip.height * share / 2)
    side = 2 * int(clip.width * share / 2)
    if look == "masked":
        clip.filters.append(f"drawbox=0:0:iw:{bar}:c=black:t=fill:enable='{held}',drawbox=0:ih-{bar}:iw:{bar}:c=black:t=fill:enable='{held}'")
        sides = (bar, bar, 0, 0)
    elif look == "pillar":
        clip.filters.append(f"drawbox=0:0:{side}:ih:c=black:t=fill:enable='{held}',drawbox=iw-{side}:0:{side}:ih:c=black:t=fill:enable='{held}'")
        sides = (0, 0, side, side)
    else:
        clip.filters.append(f"split[p][k];[k]scale={clip.width - 2 * side}:{clip.height - 2 * bar},pad={clip.width}:{clip.height}:{side}:{bar}:black[w];[p][w]overlay=enable='{held}'")
        sides = (bar, bar, side, side)
    clip.label("letterbox", start, end, "_".join(map(str, sides)))


def flashing(clip, chance, look="luma", hz=5.0, area=1.0):
    start, end = when(clip, chance, 3.0, 4.0)
    w, h = int(clip.width * area ** 0.5), int(clip.height * area ** 0.5)
    x, y = (clip.width - w) // 2, (clip.height - h) // 2
    colour = {"luma": "white@0.75", "red": "red@0.95"}[look]
    first = clip.picture(start)
    lit = f"{clip.between(start, end)}*lt(mod((n-{first})*{hz}/({clip.fps}),1),0.5)"
    clip.filters.append(f"drawbox={x}:{y}:{w}:{h}:c={colour}:t=fill:enable='{lit}'")
    clip.label("flashing", start, end, f"{look}_{hz}hz", hz=hz, area=area)


def combing(clip, chance):
    """Two moments woven into pictures that are coded as progressive."""
    start, end = when(clip, chance)
    clip.rendered_fps = clip.fps * 2
    clip.shots = [(name, first, pictures * 2) for name, first, pictures in clip.shots]
    clip.filters.append(f"split[p][k];[k]tinterlace=mode=interleave_top,settb=1/({clip.fps}),setpts=N,setfield=prog[w];"
                        f"[p]select='not(mod(n,2))',setpts=N/({clip.fps})/TB,fps={clip.fps}[q];[q][w]overlay=enable='{clip.between(start, end)}'")
    clip.label("interlace", start, end, "combing")


def field_order(clip, chance):
    """Coded as interlaced, upper field first; for a while the lower one is the earlier."""
    start, end = when(clip, chance, 3.0, 4.2)
    clip.coding.interlaced = True
    clip.rendered_fps = clip.fps * 2
    clip.shots = [(name, first, pictures * 2) for name, first, pictures in clip.shots]
    clip.filters.append("split[p][k];" + "".join(f"[{a}]tinterlace=mode=interleave_{b}:flags=low_pass_filter,settb=1/({clip.fps}),setpts=N,setfield=tff[{c}];" for a, b, c in (("p", "top", "q"), ("k", "bottom", "w")))
                        + f"[q][w]overlay=enable='{clip.between(start, end)}',setfield=tff")
    clip.label("interlace", start, end, "field_order")


def tearing(clip, chance, late=2):
    """The lower part comes from some pictures ago; the seam drifts."""
    start, end = when(clip, chance)
    at, drift = chance.uniform(0.2, 0.5), chance.uniform(0.05, 0.12)
    seam = f"gte(Y/H,mod({at:.3f}+{drift:.3f}*T,0.8)+0.1)"
    clip.filters.append(f"split[p][k];[k]tpad=start={late}:start_mode=clone[l];[p][l]blend=all_expr='if({seam},B,A)':enable='{clip.between(start, end)}':shortest=1")
    clip.label("tearing", start, end, f"late{late}")


def repeats(clip, chance, run=1, period=4):
    """`run` of every `period` pictures are replaced by the one before."""
    start, end = when(clip, chance, 3.0, 4.5)
    first = clip.picture(start)
    gone = f"{clip.between(start, end)}*lt(mod(n-{first},{period}),{run})"
    clip.filters.append(f"select='not({gone})',fps={clip.fps}")
    clip.label("frame_drop", start, end, f"repeat{run}of{period}", "minor" if run == 1 else "major")


def missing(clip, chance, run=2, period=12):
    """`run` of every `period` pictures are left out; time stamps keep the gap."""
    start, end = when(clip, chance, 3.0, 4.5)
    first = clip.picture(start)
    clip.filters.append(f"select='not({clip.between(start, end)}*lt(mod(n-{first},{period}),{run}))'")
    clip.label("frame_drop", start, end, f"missing{run}of{period}", "minor" if run == 1 else "major")


def clock_jump(clip, chance, seconds=10.0):
    at = clip.exact(chance.uniform(3.5, 6.0))
    clip.stream_work.append(lambda c, path: path.write_bytes(stream.move_clocks(path.read_bytes(), at, seconds)))
    clip.label("timestamp", at, at, f"jump{seconds:+g}", alt_start_s=round(at + seconds, 4), delta_s=seconds)


def lost_stream(clip, chance, which="all"):
    start = clip.exact(chance.uniform(3.5, 4.5))
    end = clip.exact(start + chance.uniform(2.4, 3.4))
    clip.stream_work.append(lambda c, path: path.write_bytes(stream.cut_out(path.read_bytes(), start, end, which)))
    clip.label("stream_loss", start, end, which, "severe")


def other_format(clip, chance, size="480x270"):
    """Half-way another size arrives, on the same PIDs and the same clock."""
    at = clip.exact(clip.seconds / 2 + chance.uniform(-1, 1))
    width, height = (int(n) for n in size.split("x"))

    def splice(c, path):
        head, tail, joined = path.with_suffix(".head.ts"), path.with_suffix(".tail.ts"), path
        source = path.with_suffix(".whole.ts")
        path.rename(source)
        common = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-threads", "1", "-i", str(source)]
        code = ["-map", "0:v", "-map", "0:a?", *c.coding.words(c.fps), "-threads", "1", "-c:a", "aac", "-b:a", "128k", "-fflags", "+bitexact", "-f", "mpegts"]
        subprocess.run([*common, "-t", str(at), *code, str(head)], check=True)
        subprocess.run([*common, "-ss", str(at), "-vf", f"scale={width}:{height}", *code, "-output_ts_offset", str(at), str(tail)], check=True)
        joined.write_bytes(stream.join(head.read_bytes(), tail.read_bytes()))
        for part in (source, head, tail):
            Path(part).unlink()

    clip.stream_work.append(splice)
    clip.label("format_change", at, at, f"{clip.width}x{clip.height}_to_{size}")
