"""What each scenario has to show. A check returns what was measured, in one line, or raises Wrong or Skip."""
import json
import struct

import pictures
from seen import Seen, Skip, Wrong, need

# Picket's own JPEG of quality 75 and the choice between two matrices: a bar may differ by this, of 255.
BAR_DISTANCE_MAX = 6
SOON_S = 1.0  # within which a lost signal is told, and that it is back (issue of the capture devices)
RATE_HZ, TONE_HZ = 48_000, 1_000


def bed(seen):
    seen.ended_well()
    frames, lost = (seen.text("stream").count(word) for word in ("cap dqbuf", "dropped"))
    need(frames >= 60, f"{frames} of 60 frames came")
    told = {part[:1]: part for part in seen.text("signal").split("mode ")[1:]}
    # ENOLINK, ENOLCK, ERANGE as the C library says them.
    for mode, sign in (("1", "Link has been severed"), ("2", "No locks available"), ("3", "out of range")):
        need(sign in told[mode], f"signal mode {mode} is not told by the driver: {told[mode][:80]!r}")
    need(seen.text("event.exit").strip() == "0", "no SOURCE_CHANGE event")
    grabbed = seen.bytes("bars.rgb")
    need(len(grabbed) == pictures.WIDTH * pictures.HEIGHT * 3, "FFmpeg's capture gave no picture")
    lumas = [pictures.luma(colour) for colour in pictures.bars(grabbed)]
    need(all(a > b for a, b in zip(lumas, lumas[1:])), f"no colour bars: luma {[round(y) for y in lumas]}")
    hz = pitch(seen.bytes("tone.wav"))
    need(abs(hz - TONE_HZ) < 20, f"the loop's tone has {hz:.0f} Hz, not {TONE_HZ}")
    relayed = len(seen.bytes("relayed"))
    note = "" if relayed else "; v4l2loopback passed nothing"
    return f"60 frames, {lost} gaps, three lost states, SOURCE_CHANGE, FFmpeg's grab, a tone of {hz:.0f} Hz, {relayed} bytes through v4l2loopback{note}"


def pitch(wav):
    """Of the second half of a WAV of two channels of 16 bits: crossings of zero per second, halved."""
    samples = [s for s, _ in struct.iter_unpack("<hh", wav[44:len(wav) - len(wav) % 4])]
    half = samples[len(samples) // 2:]
    return sum((a < 0) != (b < 0) for a, b in zip(half, half[1:])) / 2 * RATE_HZ / max(len(half), 1)


def formats(seen):
    told, missing, worst = [], [], (0, "", "")
    for file in sorted(seen.folder.glob("*.format")):
        name = file.stem
        if f"'{name.replace('_', ' ')}'" not in file.read_text():
            missing.append(f"{name} (the driver took another)")
            continue
        events = [e for e in seen.heard("/event", f"{name}.heard") if e["state"] == "raised"]
        grey = name in pictures.GREY
        colours = pictures.levels if grey else pictures.bars
        told.append(name)
        if not grey and not any(e["defect"] == "colour_bars" for e in events):
            missing.append(f"{name} (no colour_bars; {', '.join(e['defect'] for e in events) or 'nothing'})")
            continue
        picture = bytes.fromhex(seen.text(f"{name}.jpeg.hex").strip())
        if not picture:
            missing.append(f"{name} (no picture)")
            continue
        ours, driver = colours(pictures.jpeg(picture)), colours(pictures.raw(seen.bytes(f"{name}.raw"), name))
        distance, bar = pictures.farthest(ours, driver)
        worst = max(worst, (distance, bar, name))
        if distance > BAR_DISTANCE_MAX:
            missing.append(f"{name} ({bar} is {distance} code values off)")
    need(told, "the driver offers none of the formats")
    need(not missing, "not right: " + "; ".join(missing))
    return f"{' '.join(told)}: bars told, pictures as the driver's; worst {worst[2]} {worst[1]}, {worst[0]} code values"


def signal(seen):
    seen.ended_well()
    seen.only("stream_loss")
    raised, cleared = seen.delays("raised", "stream_loss"), seen.delays("cleared", "stream_loss")
    need(len(raised) == 3 and len(cleared) == 3, f"{len(raised)} losses, {len(cleared)} returns, of 3")
    texts = [e["text"] for e in seen.events("raised", "stream_loss")]
    need(len(set(texts[:3])) == 3, f"no signal, no lock and out of range are not told apart: {texts}")
    need(max(raised) <= SOON_S and max(cleared) <= SOON_S, f"raised within {max(raised):.2f} s, cleared within {max(cleared):.2f} s")
    return f"no signal, no lock, out of range: raised within {max(raised):.2f} s, cleared within {max(cleared):.2f} s"


def resolution(seen):
    seen.ended_well()
    seen.only("format_change", "stream_loss")
    delays = seen.delays("raised", "format_change")
    formats_told = [s["format"] for s in seen.states() if "format" in s]
    for size in ("640x480", "1280x720"):
        need(any(size in f for f in formats_told), f"{size} never was the format: {sorted(set(formats_told))}")
    need("640x480" in formats_told[-1], f"the last format is {formats_told[-1]}")
    restarts = max(h["restarts"] for h in seen.health()) if seen.health() else 0
    need(restarts == 0, f"the thread was restarted {restarts} times")
    return f"640x480 to 1280x720 and back, told within {max(delays):.2f} s: " + "; ".join(e["text"] for e in seen.events("raised", "format_change")[:2])


def interlaced(seen):
    seen.ended_well()
    need(seen.text("first.exit").strip() == "0", f"picket ended with exit code {seen.text('first.exit').strip()} on PAL")
    seen.only("stream_loss")
    told = [s["format"] for s in seen.states() if s.get("format") and s["verdict"] == "ok"]
    for size in ("720x576", "1920x1080"):
        need(any(size in t for t in told), f"{size} never was the format: {sorted(set(told))}")
    refused = seen.events("raised", "stream_loss")[0]["text"]
    return f"{told[0]}, then {told[-1]}: no false alarm; 720x480i, which the driver refuses: \"{refused}\""


def analyze(seen):
    events = [json.loads(line) for line in seen.text("events").splitlines()]
    need({e["defect"] for e in events if e["type"] == "incident"} == {"colour_bars"}, "other defects than colour bars are told")
    need(seen.number("missing.exit") == 3, f"a node that is not there ends with exit code {seen.number('missing.exit')}, not 3")
    missing = seen.text("missing").strip()
    need(len(missing.splitlines()) == 1, f"a node that is not there takes {len(missing.splitlines())} lines to tell")
    return f"colour bars told, {'a summary' if events[-1]['type'] == 'summary' else 'no summary'} and exit code {seen.number('exit')} after an interrupt; \"{missing}\""


def errors(seen):
    seen.ended_well()
    defects = {e["defect"] for e in seen.events("raised")}
    need("frame_drop" in defects, f"half of the buffers lost, and no frame_drop among {sorted(defects)}")
    need(len(seen.marks("back streamon")) == 1, "not all refusals were lived through")
    health = seen.health()
    need(health and health[-1]["restarts"] == 0, "the thread was restarted")
    again = [b.at - d.at for b, d in zip([m for m in seen.marks() if m.what.startswith("back ")], [m for m in seen.marks() if m.what.startswith("dies ")])]
    counts = seen.counts()
    # Half of 100 pictures; three were flagged.
    need(25 <= counts["missing"] <= 75 and counts["flagged"] >= 2, f"counted: {counts['missing']} missing, {counts['flagged']} flagged")
    return (f"{counts['missing']} of about 50 lost and {counts['flagged']} of 3 damaged buffers counted, 4 deaths with refusals; told {', '.join(sorted(defects))}; "
            f"{health[-1]['reconnects']} reopenings, each was told and over within {max(again):.1f} s")


def disconnect(seen):
    seen.ended_well()
    seen.only("stream_loss", "frame_drop", "timestamp")
    raised, cleared = seen.delays("raised", "stream_loss"), seen.delays("cleared", "stream_loss")
    need(max(raised) <= SOON_S, f"the unplugged device was told after {max(raised):.2f} s")
    return f"unbound and bound twice: raised within {max(raised):.2f} s, cleared {max(cleared):.2f} s after the driver was back"


def busy(seen):
    seen.ended_well()
    reasons = " | ".join(s.get("reason", "") for s in seen.states()) + " | ".join(e["text"] for e in seen.events()) + seen.text("picket.log")
    need("v4l2-ctl" in reasons or seen.text("holder").strip() in reasons, f"not told who holds the node: {reasons[:200]}")
    wait = seen.marks("taken")[0].at - seen.marks("free")[0].at
    return f"the holder is named; taken {wait:.1f} s after it was free"


def cycles(seen):
    seen.ended_well()
    rows = {name: (int(files), int(kib)) for name, files, kib in (line.split() for line in seen.text("counts").splitlines())}
    first, last = rows["20"], rows["end"]
    need(last[0] <= first[0], f"open files: {first[0]} after 20 cycles, {last[0]} after 100")
    # A page or two of the allocator's is no leak; a frame of this size, 600 KiB, is.
    need(last[1] - first[1] < 600, f"memory: {first[1]} KiB after 20 cycles, {last[1]} KiB after 100")
    raised = len(seen.events("raised", "stream_loss"))
    seen_by_it = seen.health()[-1]["reconnects"]
    need(seen_by_it >= 100, f"{seen_by_it} of 100 losses were seen")
    good = seen.marks("good")[0].at - seen.marks("end")[0].at
    return f"{seen_by_it} losses seen ({raised} told, as returns were short): {first[0]} to {last[0]} files, {first[1]} to {last[1]} KiB (after 20, after 100); called good {good:.0f} s after the last"


def cost(seen):
    seen.ended_well()
    shares = {name: int(us) / 3e4 for name, us in (line.split() for line in seen.text("cost").splitlines())}  # %, of three seconds
    need({"picket", "ffmpeg-copy", "ffmpeg-filters"} <= set(shares), f"measured only {sorted(shares)}")
    # Health is told when the verdict changes: when the first picture came, and when the signal went.
    told = [(h["mono_ms"] / 1000, h["src"]["cam"]) for h in seen.heard("/health") if h["src"].get("cam", {}).get("frames")]
    need(len(told) >= 2, "Picket never saw the picture")
    begin, end = told[0], told[-1]
    fps, coverage, counts = (end[1]["frames"] - begin[1]["frames"]) / (end[0] - begin[0]), end[1]["coverage"], seen.counts()
    need(counts["late"] == 0, f"{counts['late']} pictures were not fetched in time")
    # The loss is told up to 0.2 s after the last picture, of four seconds.
    need(fps > 56 and counts["missing"] == 0, f"{fps:.1f} pictures per second, {counts['missing']} missing")
    memory = {name: int(kib) for name, kib in (line.replace(":", "").split()[:2] for line in seen.text("memory").splitlines())}
    return (f"1080p60 at {fps:.1f} fps, coverage {coverage:.2f}: Picket {shares['picket']:.1f} %, FFmpeg's capture alone {shares['ffmpeg-copy']:.1f} %, with "
            f"blackdetect and freezedetect {shares['ffmpeg-filters']:.1f} % of the virtual processor; {memory['VmHWM'] // 1024} MiB at most")


def relay(seen):
    seen.ended_well()
    size = pictures.WIDTH * pictures.HEIGHT * 2
    data, direct = seen.bytes("relayed"), seen.bytes("direct")
    need(len(data) == 50 * size, f"{len(data) // size} of 50 pictures came through the relay")
    need(data[-size:] == direct[:size], "the relay's picture is not the driver's, byte for byte")
    took = int(seen.text("log").rpartition("pass: ")[2].split()[0]) / 50_000
    return f"50 pictures through v4l2loopback, byte for byte the driver's; {took:.2f} ms for each, detection included"


def defects(seen):
    seen.ended_well()
    seen.only("freeze", "black", "colour_bars")
    return ", ".join(f"{d} raised after {seen.delays('raised', d)[0]:.1f} s, cleared after {seen.delays('cleared', d)[0]:.1f} s" for d in ("freeze", "black", "colour_bars"))


def sound(seen):
    seen.ended_well()
    silence = seen.delays("raised", "silence"), seen.delays("cleared", "silence")
    lost = seen.delays("raised", "stream_loss"), seen.delays("cleared", "stream_loss")
    stopped, continued = seen.marks("stopped")[0].at, seen.marks("continued")[0].at
    told = {e["defect"] for e in seen.events("raised") if stopped * 1000 <= e["mono_ms"] <= (continued + 4) * 1000}
    counts = seen.counts()
    need(told, "a reader that was stopped for 2 s is not told")
    need(counts["xruns"] > 0 and counts["sound_lost"] > 0 and counts["late"] > 0, f"a reader that was stopped for 2 s: {counts['xruns']} overruns of the card, {counts['sound_lost']} samples lost, {counts['late']} pictures late")
    need(lost[0][0] <= 1.5 * SOON_S, f"the unplugged card was told after {lost[0][0]:.2f} s")
    return (f"silence raised after {silence[0][0]:.1f} s, cleared after {silence[1][0]:.1f} s; overrun told as {', '.join(sorted(told))} ({counts['xruns']} xruns, {counts['sound_lost']} samples and {counts['late']} pictures lost); "
            f"card gone told after {lost[0][0]:.2f} s, back after {lost[1][0]:.1f} s")


def sound_only(seen):
    seen.ended_well()
    seen.only("silence")
    formats_told = [s["format"] for s in seen.states() if "format" in s]
    need(formats_told and "48000 Hz" in formats_told[-1], f"format: {formats_told[-1:]}")
    return f"a card alone: {formats_told[-1]}, silence told"


def probe(seen):
    found = json.loads(seen.text("json"))
    words = json.dumps(found)
    for word in ("vivid", "/dev/video0", "UYVY", "640", "Loopback", "Dummy"):
        need(word in words, f"{word} is not in picket probe --format json")
        need(word in seen.text("text"), f"{word} is not in the text of picket probe")
    need(seen.text("json-without-signal") != seen.text("json"), "a pulled cable changes nothing in picket probe")
    return f"driver, node, formats, timings, cards: {len(words)} bytes of JSON, {len(seen.text('text').splitlines())} lines of text"


# name: (check, needs of the bed besides vivid, seconds of the guest's time at most)
SCENARIOS = {
    "bed": (bed, (), 60),
    "formats": (formats, (), 200),
    "formats-mplane": (formats, (), 200),
    "signal": (signal, (), 90),
    "resolution": (resolution, (), 60),
    "interlaced": (interlaced, (), 60),
    "analyze": (analyze, (), 60),
    "errors": (errors, (), 120),
    "disconnect": (disconnect, (), 90),
    "busy": (busy, (), 60),
    "defects": (defects, (), 90),
    "sound": (sound, ("snd-aloop",), 120),
    "sound-only": (sound_only, ("snd-aloop",), 60),
    "relay": (relay, ("v4l2loopback",), 60),
    "probe": (probe, ("snd-aloop", "snd-dummy"), 60),
    "cost": (cost, (), 60),
    "cycles": (cycles, (), 200),
}


def judge(name, folder, result):
    """("ok" or "FAILED", text) of a scenario whose script ended with exit code `result`."""
    seen = Seen(folder)
    failures = [line for line in seen.text("log").splitlines() if line.startswith("FAIL ")]
    if failures:
        return "FAILED", failures[0][5:]
    if result:
        return "FAILED", "took too long" if result == 143 else f"the script ended with exit code {result}: {seen.text('log')[-200:].strip()}"
    try:
        text = SCENARIOS[name][0](seen)
        seen.driver_is_well()
    except Wrong as wrong:
        return "FAILED", str(wrong)
    except Skip as skip:
        return "SKIPPED", str(skip)
    except (KeyError, IndexError, ValueError, pictures.Unreadable) as error:
        return "FAILED", f"what it left cannot be read: {type(error).__name__}: {error}"
    return "ok", text
