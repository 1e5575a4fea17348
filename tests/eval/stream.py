"""Damage to finished transport streams: packets lost, bits flipped, clocks moved, streams joined; and what of it can be seen.

All take and give the whole stream as bytes. Times are seconds after the first picture's presentation time.
"""
import subprocess
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "demo"))
import ts  # noqa: E402  (the demo's reader of transport streams)

WRAP = 1 << 33
VISIBLE_MAD = 10  # mean absolute difference of a 16x16 block that a viewer may notice
MERGE_S = 0.5  # stretches of damage nearer than this are one


def split(data):
    return [bytearray(data[i:i + ts.PACKET]) for i in range(0, len(data) - ts.PACKET + 1, ts.PACKET)]


def times(packets):
    """(PID of the picture, PID of the sound, seconds of each packet): every packet has the time of its PID's last unit."""
    video = audio = first = None
    now, out = {}, []
    for packet in packets:
        unit = ts.pes(packet)
        if unit and 0xE0 <= unit[0] <= 0xEF:
            video, first = ts.pid(packet), unit[1] if first is None else first
        elif unit and 0xC0 <= unit[0] <= 0xDF:
            audio = ts.pid(packet)
        if unit and first is not None:
            now[ts.pid(packet)] = unit[1] - first
        clock = max(now.values(), default=0.0)
        out.append(now.get(ts.pid(packet), clock))
    return video, audio, out


def lose(data, start, end, share, chance, burst=1):
    """Drops packets of the picture, `burst` at a time, but for those in which a picture begins."""
    packets = split(data)
    video, _, at = times(packets)
    out, left = bytearray(), 0
    for packet, when in zip(packets, at):
        if ts.pid(packet) == video and start <= when < end and not ts.starts_unit(packet):
            if left == 0 and chance.random() < share / burst:
                left = burst
            if left:
                left -= 1
                continue
        out += packet
    return bytes(out)


def flip(data, start, end, share, chance):
    """Flips a few bits in packets of the picture, behind the headers."""
    packets = split(data)
    video, _, at = times(packets)
    for packet, when in zip(packets, at):
        if ts.pid(packet) == video and start <= when < end and not ts.starts_unit(packet) and ts.payload_start(packet) < 100 and chance.random() < share:
            for _ in range(chance.randint(1, 4)):
                packet[chance.randrange(ts.payload_start(packet) + 8, ts.PACKET)] ^= 1 << chance.randrange(8)
    return b"".join(packets)


def cut_out(data, start, end, which):
    """Removes all packets of a stretch, or those of the picture or the sound."""
    packets = split(data)
    video, audio, at = times(packets)
    gone = {"all": None, "video": video, "audio": audio}[which]
    return b"".join(p for p, when in zip(packets, at) if not (start <= when < end and (gone is None or ts.pid(p) == gone)))


def write_stamp(packet, at, value):
    """A 33-bit time stamp of a PES header, its marker bits kept."""
    packet[at] = packet[at] & 0xF1 | value >> 29 & 0x0E
    packet[at + 1] = value >> 22 & 0xFF
    packet[at + 2] = value >> 14 & 0xFE | 1
    packet[at + 3] = value >> 7 & 0xFF
    packet[at + 4] = value << 1 & 0xFE | 1


def read_stamp(packet, at):
    return (packet[at] >> 1 & 7) << 30 | packet[at + 1] << 22 | packet[at + 2] >> 1 << 15 | packet[at + 3] << 7 | packet[at + 4] >> 1


def move_clocks(data, start, seconds, signalled=False):
    """Adds to PCR, PTS and DTS from a time on (0: of all), wrapping at 33 bits; with the discontinuity indicator where it is signalled."""
    packets = split(data)
    video, _, at = times(packets)
    ticks = round(seconds * ts.CLOCK)
    moved, told = start <= 0, set()
    for packet, when in zip(packets, at):
        moved = moved or (ts.pid(packet) == video and ts.starts_unit(packet) and when >= start)
        if not moved:
            continue
        adaptation = packet[3] >> 4 & 2 and packet[4] >= 1
        if signalled and adaptation and ts.pid(packet) not in told:
            packet[5] |= 0x80
            told.add(ts.pid(packet))
        if adaptation and packet[4] >= 7 and packet[5] & 0x10:
            base = ((int.from_bytes(packet[6:10], "big") << 1 | packet[10] >> 7) + ticks) % WRAP
            packet[6:10] = (base >> 1).to_bytes(4, "big")
            packet[10] = packet[10] & 0x7F | (base & 1) << 7
        unit = ts.payload_start(packet)
        if ts.pes(packet):
            write_stamp(packet, unit + 9, (read_stamp(packet, unit + 9) + ticks) % WRAP)
            if packet[unit + 7] & 0x40:
                write_stamp(packet, unit + 14, (read_stamp(packet, unit + 14) + ticks) % WRAP)
    return b"".join(packets)


def join(first, second):
    """Plays one stream after the other without a break in the counters."""
    packets = split(first) + split(second)
    counters = {}
    for packet in packets:
        pid = ts.pid(packet)
        if packet[3] & 0x10:
            counters[pid] = (counters.get(pid, -1) + 1) % 16
        packet[3] = packet[3] & 0xF0 | counters.get(pid, 0)
    return b"".join(packets)


def differences(graph, inputs, width, height):
    """Per picture of `graph` (which ends in a luma difference), the mean of each 16x16 block."""
    columns, rows = width // 16, height // 16
    words = ["ffmpeg", "-nostdin", "-v", "quiet"]
    for path in inputs:
        words += ["-threads", "1", "-i", str(path)]
    graph += f",crop={columns * 16}:{rows * 16}:0:0,scale={columns}:{rows}:flags=area[d]"
    done = subprocess.run([*words, "-filter_complex", graph, "-map", "[d]", "-fps_mode", "passthrough", "-f", "rawvideo", "-"], capture_output=True, check=False)
    size = columns * rows
    return [done.stdout[i:i + size] for i in range(0, len(done.stdout) - size + 1, size)]


def visible(clean, damaged, width, height, fps):
    """([(start, end, largest share of the blocks)] of visible damage, the same of any damage at all)."""
    graph = "[0:v]setpts=PTS-STARTPTS,extractplanes=y[a];[1:v]setpts=PTS-STARTPTS,extractplanes=y[b];[a][b]blend=all_mode=difference"
    shares, least = [], 1.0
    for blocks in differences(graph, (clean, damaged), width, height):
        least = max(4, 0.004 * len(blocks)) / len(blocks)
        shares.append(sum(b > VISIBLE_MAD for b in blocks) / len(blocks))
    return stretches(shares, fps, least), stretches(shares, fps, 1e-9)


def stretches(shares, fps, least, merge=MERGE_S):
    """Runs of pictures whose share is at least `least`, joined where they are near, as (start, end, peak)."""
    out = []
    for n, share in enumerate(shares):
        if share < least:
            continue
        start, end = float(n / fps), float((n + 1) / fps)
        if out and start - out[-1][1] < merge:
            out[-1] = (out[-1][0], end, max(out[-1][2], share))
        else:
            out.append((start, end, share))
    return out


def still(path, width, height, fps, at_least=1.0):
    """Stretches in which no block of the picture changes: what the content itself, or its encoding, holds of freezes."""
    graph = "[0:v]extractplanes=y,tblend=all_mode=difference"
    changes = differences(graph, (path,), width, height)
    held = [1.0 if max(blocks) == 0 else 0.0 for blocks in changes]
    return [(a, b) for a, b, _ in stretches(held, fps, 1.0, merge=0.5 / fps) if b - a >= at_least]
