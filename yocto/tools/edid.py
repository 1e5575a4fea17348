#!/usr/bin/env python3
"""Writes the EDIDs that an HDMI input shows to a source, or compares them with the files of the layer (`--check`).

An HDMI-to-CSI bridge or a receiver without an EDID raises no hot-plug, and sources then send nothing. What stands in them is what the
hardware takes: progressive timings up to 165 MHz, RGB and YCbCr, stereo PCM. Layout: VESA E-EDID 1.3 and CTA-861; `read` takes a blob
apart again, with every length and checksum, and shares no code with what builds it.
"""

import argparse
import pathlib
import sys
from typing import NamedTuple

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "meta-picket-bsp/recipes-bsp/picket-edid/files"
AGAIN = "make yocto-edid"


class Timing(NamedTuple):
    """One video format of CTA-861: clock in 10 kHz, pixels and lines with their front porch, sync and total blanking."""

    vic: int
    clock: int
    width: int
    h_front: int
    h_sync: int
    h_blank: int
    height: int
    v_front: int
    v_sync: int
    v_blank: int
    positive: bool

    @property
    def rate(self) -> float:
        """Pictures per second."""
        return self.clock * 10_000 / ((self.width + self.h_blank) * (self.height + self.v_blank))


TIMINGS = {
    "480p59.94": Timing(3, 2700, 720, 16, 62, 138, 480, 9, 6, 45, False),
    "576p50": Timing(18, 2700, 720, 12, 64, 144, 576, 5, 5, 49, False),
    "720p50": Timing(19, 7425, 1280, 440, 40, 700, 720, 5, 5, 30, True),
    "720p60": Timing(4, 7425, 1280, 110, 40, 370, 720, 5, 5, 30, True),
    "1080p24": Timing(32, 7425, 1920, 638, 44, 830, 1080, 4, 5, 45, True),
    "1080p25": Timing(33, 7425, 1920, 528, 44, 720, 1080, 4, 5, 45, True),
    "1080p30": Timing(34, 7425, 1920, 88, 44, 280, 1080, 4, 5, 45, True),
    "1080p50": Timing(31, 14850, 1920, 528, 44, 720, 1080, 4, 5, 45, True),
    "1080p60": Timing(16, 14850, 1920, 88, 44, 280, 1080, 4, 5, 45, True),
}
# The first is what a source is asked for. Two CSI lanes carry 1080p50 and no more.
EDIDS = {
    "hdmi-1080p50": (1, ["1080p50", "1080p25", "1080p24", "1080p30", "720p50", "720p60", "576p50", "480p59.94"]),
    "hdmi-1080p60": (2, ["1080p60", "1080p50", "1080p25", "1080p24", "1080p30", "720p60", "720p50", "576p50", "480p59.94"]),
}
VGA = 1  # 640x480p60, which every sink has


def detailed(t: Timing) -> bytes:
    """A detailed timing descriptor: 18 bytes; a picture of 16:9 without a size in millimetres worth naming."""
    return bytes([
        t.clock & 255, t.clock >> 8,
        t.width & 255, t.h_blank & 255, (t.width >> 8) << 4 | t.h_blank >> 8,
        t.height & 255, t.v_blank & 255, (t.height >> 8) << 4 | t.v_blank >> 8,
        t.h_front & 255, t.h_sync & 255, (t.v_front & 15) << 4 | t.v_sync & 15,
        (t.h_front >> 8) << 6 | (t.h_sync >> 8) << 4 | (t.v_front >> 4) << 2 | t.v_sync >> 4,
        0, 0, 0, 0, 0, 0x18 | (0x06 if t.positive else 0),
    ])


def text(tag: int, words: str) -> bytes:
    """A descriptor with text of at most 13 characters."""
    line = words.encode("ascii")
    return bytes([0, 0, 0, tag, 0]) + (line if len(line) == 13 else (line + b"\n").ljust(13, b" "))


def closed(block: bytes) -> bytes:
    """The block with its last byte, which makes the sum zero."""
    assert len(block) == 127
    return block + bytes([-sum(block) & 255])


def build(product: int, names: list[str]) -> bytes:
    """256 bytes: the base block and one CTA-861 extension."""
    timings = [TIMINGS[name] for name in names]
    rates = [t.rate for t in timings]
    lines = [t.clock * 10 / (t.width + t.h_blank) for t in timings]
    # Range limits: whole Hz and kHz around what is offered, the clock in 10 MHz.
    limits = bytes([0, 0, 0, 0xFD, 0, int(min(rates)) - 1, int(max(rates)) + 1, int(min(lines)), int(max(lines)) + 1,
                    -(-max(t.clock for t in timings) // 1000), 0, 10]) + b" " * 6
    maker = sum((ord(letter) - 64) << shift for letter, shift in zip("LNX", (10, 5, 0)))
    base = bytes([0, 255, 255, 255, 255, 255, 255, 0, maker >> 8, maker & 255, product, 0, 0, 0, 0, 0, 0, 2026 - 1990, 1, 3])
    # Digital, no size, gamma 2.2, RGB, first detailed timing preferred, sRGB's primaries, 640x480p60.
    base += bytes([0x80, 0, 0, 120, 0x0E, 0xEE, 0x91, 0xA3, 0x54, 0x4C, 0x99, 0x26, 0x0F, 0x50, 0x54, 0x20, 0, 0]) + b"\x01" * 16
    base += detailed(timings[0]) + detailed(TIMINGS["720p50" if names[0] == "1080p50" else "720p60"]) + limits + text(0xFC, "Picket HDMI")
    base += bytes([1])
    video = bytes([t.vic for t in timings] + [VGA])
    audio = bytes([1 << 3 | 1, 0x07, 0x07])  # PCM, two channels; 32, 44.1, 48 kHz; 16, 20, 24 bits
    # The last: either range is taken as AVI says, and nothing of the picture is cut off.
    blocks = [(2, video), (1, audio), (4, bytes([1, 0, 0])), (3, bytes([0x03, 0x0C, 0x00, 0x10, 0x00, 0x00, 165 // 5])), (7, bytes([0, 0xCA]))]
    data = b"".join(bytes([tag << 5 | len(body)]) + body for tag, body in blocks)
    # Underscan, basic audio, YCbCr 4:4:4 and 4:2:2; one native timing in the base block.
    cta = bytes([2, 3, 4 + len(data), 0xF1]) + data
    return closed(base) + closed(cta.ljust(127, b"\0"))


def read(blob: bytes) -> dict:
    """What a sink with this EDID says; ValueError with the reason where it is none."""
    if len(blob) % 128 or not blob or blob[:8] != b"\x00\xff\xff\xff\xff\xff\xff\x00":
        raise ValueError("not an EDID: length or header")
    for number in range(len(blob) // 128):
        if sum(blob[number * 128:number * 128 + 128]) % 256:
            raise ValueError(f"block {number}: the checksum is wrong")
    if blob[126] != len(blob) // 128 - 1:
        raise ValueError(f"{blob[126]} extensions are announced, {len(blob) // 128 - 1} are there")
    said = {"detailed": [], "vics": [], "name": "", "audio": [], "hdmi": False}
    for at in range(54, 126, 18):
        piece = blob[at:at + 18]
        if piece[0] or piece[1]:
            width, height = piece[2] | (piece[4] & 0xF0) << 4, piece[5] | (piece[7] & 0xF0) << 4
            total = (width + (piece[3] | (piece[4] & 15) << 8)) * (height + (piece[6] | (piece[7] & 15) << 8))
            said["detailed"].append((width, height, round((piece[0] | piece[1] << 8) * 10_000 / total, 2)))
        elif piece[3] == 0xFC:
            said["name"] = piece[5:].split(b"\n")[0].decode("ascii")
    cta = blob[128:]
    at, end = 4, cta[2]
    if cta[0] != 2 or not 4 <= end <= 127:
        raise ValueError("the extension is none of CTA-861")
    while at < end:
        tag, length = cta[at] >> 5, cta[at] & 31
        body = cta[at + 1:at + 1 + length]
        at += 1 + length
        if tag == 2:
            said["vics"] += [vic & 127 if vic & 127 <= 64 else vic for vic in body]
        elif tag == 1:
            said["audio"].append(((body[0] >> 3) & 15, (body[0] & 7) + 1))
        elif tag == 3 and body[:3] == b"\x03\x0c\x00":
            said["hdmi"] = True
    if at != end:
        raise ValueError("data blocks run over their end")
    return said


def hexadecimal(blob: bytes) -> str:
    """As `v4l2-ctl --set-edid format=hex` reads it: sixteen bytes a line, a free line between blocks."""
    rows = [" ".join(f"{byte:02x}" for byte in blob[at:at + 16]) for at in range(0, len(blob), 16)]
    return "\n".join(rows[:8]) + "\n\n" + "\n".join(rows[8:]) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing, exit with 1 where a file is another")
    arguments = parser.parse_args()
    for name, (product, names) in EDIDS.items():
        path, wanted = FOLDER / f"{name}.hex", hexadecimal(build(product, names))
        if path.exists() and path.read_text() == wanted:
            continue
        if arguments.check:
            print(f"edid: {path.name} is not what edid.py makes: run '{AGAIN}'", file=sys.stderr)
            return 1
        path.write_text(wanted)
        print(f"edid: wrote {path.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
