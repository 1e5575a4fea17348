"""Pictures of colour bars: decoded by the host's FFmpeg, compared bar by bar."""
import collections
import subprocess

WIDTH, HEIGHT = 320, 180
BARS = 8
# What the driver draws: 75 % bars, from white to black.
NAMES = ("white", "yellow", "cyan", "green", "magenta", "red", "blue", "black")
# V4L2's names and FFmpeg's; an underscore stands for the space that the name ends with.
PIXELS = {
    "YUYV": "yuyv422", "UYVY": "uyvy422", "YVYU": "yvyu422", "NV12": "nv12", "NV21": "nv21", "NV24": "nv24", "YU12": "yuv420p", "422P": "yuv422p",
    "GREY": "gray", "RGB3": "rgb24", "BGR3": "bgr24", "Y10_": "gray10le", "Y16_": "gray16le", "NM12": "nv12", "YM12": "yuv420p",
    "NV16": "yuv422p", "NM16": "yuv422p", "NV61": "yuv422p",
}
# Of the multi-planar interface: those in several pieces of memory, and two in one.
MULTI_PLANAR = ("NM12", "NM16", "YM12", "NV12", "YUYV")
GREY = ("GREY", "Y10_", "Y16_")
# FFmpeg 5.1 does not convert these; with their chroma taken apart it does: which sample of each pair is the blue one.
PAIRS = {"NV16": 0, "NM16": 0, "NV61": 1}


class Unreadable(Exception):
    """FFmpeg could not read the picture."""


def rgb(data, *source):
    """WIDTH x HEIGHT samples of three bytes, of what FFmpeg reads with `source` as its options."""
    command = ["ffmpeg", "-nostdin", "-v", "error", *source, "-i", "-", "-frames:v", "1", "-vf", f"crop={WIDTH}:{HEIGHT}:0:0", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    done = subprocess.run(command, input=data, capture_output=True, check=False)
    if len(done.stdout) != WIDTH * HEIGHT * 3:
        raise Unreadable((done.stderr.decode(errors="replace").strip().splitlines() or ["no picture"])[-1][:120])
    return done.stdout


def raw(data, format):
    """A frame as the driver gave it."""
    if format in PAIRS:
        luma_bytes = WIDTH * HEIGHT
        chroma, blue = data[luma_bytes:2 * luma_bytes], PAIRS[format]
        data = data[:luma_bytes] + chroma[blue::2] + chroma[1 - blue::2]
    picture = rgb(data, "-f", "rawvideo", "-pix_fmt", PIXELS[format], "-s", f"{WIDTH}x{HEIGHT}")
    # FFmpeg takes grey for full range; the driver's goes from 16 to 235, as all its formats with luma do.
    return bytes(min(max((y - 16) * 255 // 219, 0), 255) for y in picture) if format in GREY else picture


def jpeg(data):
    return rgb(data, "-f", "mjpeg")


def bars(picture):
    """The middle colour of each bar, half way down."""
    colours = []
    for bar in range(BARS):
        x = int((bar + 0.5) * WIDTH / BARS)
        samples = [picture[3 * (y * WIDTH + x + dx):][:3] for y in range(HEIGHT // 2 - 10, HEIGHT // 2 + 10) for dx in range(-8, 8)]
        colours.append(tuple(sorted(s[channel] for s in samples)[len(samples) // 2] for channel in range(3)))
    return colours


def levels(picture):
    """The middle row's levels of a picture without colour that has as many as there are bars, from white to black, wherever they stand."""
    row = picture[HEIGHT // 2 * WIDTH * 3:][:WIDTH * 3:3]
    found = []
    for level, count in collections.Counter(row).most_common():
        # What is close to a level that is more frequent is its noise, or the edge between two.
        if len(found) < BARS and all(abs(level - other) > 8 for other in found):
            found.append(level)
    return [(level,) * 3 for level in sorted(found, reverse=True)]


def luma(colour):
    red, green, blue = colour
    return 0.299 * red + 0.587 * green + 0.114 * blue


def farthest(one, other):
    """Largest distance between two pictures' bars: (code values, name of the bar)."""
    return max((max(abs(a - b) for a, b in zip(x, y)), name) for x, y, name in zip(one, other, NAMES))
