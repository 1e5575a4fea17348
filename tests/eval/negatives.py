"""Clean material that is easily mistaken for a defect. A recipe takes (clip, chance) and plants nothing that is one."""
import footage
import sounds
import stream

CREDITS = ("A Winter by the Sea", "", "Written by", "M. Brand", "", "With", "Ida Falk   Jon Reyes", "Tom Okoro   Lea Winter", "", "Camera", "R. Sandoval", "", "Sound", "K. Adeyemi", "",
           "Music", "The Harbour Band", "", "Thanks to the people of the lower town")


def night(clip, chance):
    """Dim, noisy, and moving."""
    clip.filters.append("eq=gamma=0.5:brightness=-0.08:saturation=0.5,noise=c0s=9:c0f=t:all_seed=6")


def fade_black(clip, chance):
    """Out through black and in again; black for less than a second."""
    out, back = clip.exact(4.0), clip.exact(5.4)
    clip.filters.append(f"fade=t=out:st={out}:d=0.6:enable='lt(t,{back})',fade=t=in:st={back}:d=0.6:enable='gte(t,{out + 0.6})'")


def fade_colour(clip, chance, colour="white"):
    out, back = clip.exact(4.0), clip.exact(5.2)
    clip.filters.append(f"fade=t=out:st={out}:d=0.5:c={colour}:enable='lt(t,{back})',fade=t=in:st={back}:d=0.5:c={colour}:enable='gte(t,{out + 0.5})'")


def quick_cuts(clip, chance):
    """A cut every third to half of a second."""
    contents = [name for name, _, _ in clip.shots]
    left, shots = clip.picture(clip.seconds), []
    while left > 0:
        long = min(left, clip.picture(chance.uniform(0.3, 0.55)))
        name = contents[len(shots) % len(contents)]
        shots.append((name, chance.randrange(footage.CONTENTS[name].pictures - long), long))
        left -= long
    clip.shots = shots


def credits_roll(clip, chance):
    text = "\n".join(CREDITS).replace("'", "").replace(":", "\\:")
    clip.filters.append(f"lutyuv=y=16:u=128:v=128,drawtext=text='{text}':x=(w-tw)/2:y='h*0.8-t*h/9':fontsize=h/14:fontcolor=white:line_spacing=8")
    clip.ignored("freeze", 0.0, 1.5, "empty before the first line")
    clip.ignored("black", 0.0, 1.5, "empty before the first line")
    clip.ignored("monochrome", 0.0, clip.seconds, "white text on black", policy=True)


def slate(clip, chance):
    """Programme, then a cut to a still card, then programme again."""
    start, end = clip.exact(3.0), clip.exact(7.6)
    clip.photo = "slate"
    clip.filters.append(f"null[p];@photoscale={clip.width}:{clip.height}:force_original_aspect_ratio=increase,crop={clip.width}:{clip.height},setsar=1,format=yuv420p,"
                        f"drawtext=text='We are back at eight':x=(w-tw)/2:y=h*0.8:fontsize=h/12:fontcolor=white:box=1:boxcolor=black@0.6[card];"
                        f"[p][card]overlay=enable='{clip.between(start, end)}':shortest=1")
    clip.ignored("freeze", start - 0.5, end + 2.0, "a slate is still by intent", policy=True)
    clip.ignored("blur", start, end, "slate", policy=True)


def grain(clip, chance, strength=12):
    clip.filters.append(f"noise=c0s={strength}:c0f=t:all_seed={chance.randrange(1000)}")


def confetti(clip, chance):
    clip.filters.append(f"null[p];life=s={clip.width // 8}x{clip.height // 8}:r={clip.fps}:seed=21:ratio=0.12:mold=3:life_color=#ff4060:death_color=#30a0ff:mold_color=#000000,"
                        f"scale={clip.width}:{clip.height}:flags=neighbor,format=rgba,colorkey=black:0.3:0.05[c];[p][c]overlay=shortest=1")


def grid_screen(clip, chance):
    """A screen with an 8x8 grid on it, and a pointer that moves."""
    clip.filters.append(f"drawgrid=w=8:h=8:t=1:c=black@0.35,null[p];color=white:s=14x18:r={clip.fps}[b];"
                        "[p][b]overlay=x='W*0.3+W*0.2*sin(n/13)':y='H*0.4+H*0.2*cos(n/17)':shortest=1")


def pauses(clip, chance):
    """A reader who takes his time: pauses with the room's noise in them."""
    clip.sound_work.append(lambda s: (sounds.silence(s, 3.4, 4.9, -66, 3), sounds.silence(s, 6.5, 7.8, -66, 4)))


def quiet(clip, chance, decibels=-17):
    clip.sound_work.append(lambda s: sounds.gain(s, 0, clip.seconds, decibels))
    clip.ignored("loudness", 0.0, clip.seconds, "quiet all along", policy=True)


def mono_sound(clip, chance):
    clip.sound_work.append(sounds.to_mono)


def interlaced(clip, chance):
    """Interlaced and flagged so, fields in the right order."""
    clip.coding.interlaced = True
    clip.rendered_fps = clip.fps * 2
    clip.shots = [(name, first, pictures * 2) for name, first, pictures in clip.shots]
    clip.filters.append(f"tinterlace=mode=interleave_top:flags=low_pass_filter,settb=1/({clip.fps}),setpts=N,setfield=tff")


def on_twos(clip, chance, hold=2):
    """Drawn animation: each drawing stands for some pictures, all along."""
    clip.filters.append(f"select='not(mod(n,{hold}))',fps={clip.fps}")
    clip.ignored("frame_drop", 0.0, clip.seconds, "animation on twos or threes repeats pictures by intent", policy=True)


def photo_flashes(clip, chance):
    """Single flashes of cameras, far apart."""
    at = [clip.picture(t) for t in (2.1, 5.3, 8.2)]
    lit = "+".join(f"between(n,{a},{a + 1})" for a in at)
    clip.filters.append(f"drawbox=c=white@0.7:t=fill:enable='{lit}'")


def green_screen(clip, chance):
    """Somebody before a green wall: the picture, shrunk, moves over one colour."""
    clip.filters.append(f"scale={clip.width // 6 * 2}:{clip.height // 4 * 2}[k];color=0x10a040:s={clip.width}x{clip.height}:r={clip.fps},format=yuv420p,noise=c0s=4:c0f=t:all_seed=2[g];"
                        "[g][k]overlay=x='W/3+W/9*sin(n/19)':y='H/2-H/12*cos(n/31)':shortest=1")
    clip.ignored("letterbox", 0.0, 1.0, "no past to compare with")


def black_and_white(clip, chance):
    clip.filters.append("hue=s=0,eq=contrast=1.1,noise=c0s=12:c0f=t:all_seed=5")
    clip.ignored("monochrome", 0.0, clip.seconds, "a black-and-white film", policy=True)


def pillarboxed(clip, chance):
    """A 4:3 programme in a wider picture, from the first picture on."""
    w = clip.height * 4 // 3 // 2 * 2
    clip.filters.append(f"crop={w}:{clip.height},pad={clip.width}:{clip.height}:(ow-iw)/2:0:black")


def dark_edges(clip, chance):
    """Light in the middle of a dark place."""
    clip.filters.append("vignette=angle=PI/2.4,eq=brightness=-0.04")


def wrapped(clip, chance):
    """The 33-bit clock wraps, as it does every 26.5 hours."""
    clip.stream_work.append(lambda c, path: path.write_bytes(stream.move_clocks(path.read_bytes(), 0.0, -5.0)))


def signalled_splice(clip, chance):
    at = clip.exact(4.7)
    clip.stream_work.append(lambda c, path: path.write_bytes(stream.move_clocks(path.read_bytes(), at, 30.0, signalled=True)))
    for defect in ("stream_loss", "frame_drop", "audio_dropout", "freeze"):
        clip.ignored(defect, at - 0.5, at + 2.5, "signalled splice")


def plain(clip, chance):
    """Nothing done: the content and its coding are what is hard."""
