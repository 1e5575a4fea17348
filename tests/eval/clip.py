"""One clip: what it shows and sounds like, what is planted in it, how it is coded; and its rendering into a transport stream."""
import hashlib
import random
import subprocess
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import footage
import sounds
import stream

EARLY_S, AFTER_S = 0.5, 2.0  # how far around a defect its effects may show

# What else a viewer, or a meter, may rightly see while a defect is there.
IMPLIED = {
    "black": "blur freeze letterbox monochrome solid_colour video_levels",
    "solid_colour": "black blur freeze letterbox monochrome video_levels",
    "colour_bars": "freeze letterbox loudness solid_colour video_levels",
    "freeze": "frame_drop",
    "block_corruption": "frame_drop freeze solid_colour stream_loss tearing timestamp video_levels",
    "letterbox": "video_levels",
    "flashing": "black frame_drop letterbox monochrome solid_colour video_levels",
    "video_levels": "black blur freeze monochrome solid_colour",
    "noise": "blur flashing monochrome video_levels",
    "interlace": "tearing",
    "tearing": "frame_drop interlace",
    "frame_drop": "freeze stream_loss timestamp",
    "timestamp": "audio_dropout av_sync frame_drop freeze silence stream_loss",
    "format_change": "audio_dropout av_sync blur frame_drop freeze letterbox timestamp",
    "stream_loss": "audio_dropout av_sync block_corruption channel_loss frame_drop freeze loudness silence timestamp",
    "silence": "audio_dropout channel_loss loudness phase",
    "clipping": "loudness",
    "channel_loss": "audio_dropout loudness phase",
    "phase": "loudness",
    "audio_dropout": "clipping silence",
    "loudness": "clipping silence",
}

X264, X265, MPEG2 = "h264", "hevc", "mpeg2video"
PRESETS = {"h264": "veryfast", "hevc": "ultrafast"}


@dataclass
class Coding:
    """How the picture is coded. `quality` is a CRF (H.264, HEVC) or kb/s (MPEG-2; of the others where it is above 60)."""

    codec: str = X264
    quality: int = 22
    gop_s: float = 2.0
    slices: int = 1
    interlaced: bool = False

    def words(self, fps):
        gop = max(1, round(self.gop_s * fps))
        rate = ["-b:v", f"{self.quality}k", "-maxrate", f"{self.quality}k", "-bufsize", f"{self.quality}k"] if self.quality > 60 else ["-crf", str(self.quality)]
        scan = ["-flags", "+ilme+ildct"] if self.interlaced else []
        if self.codec == MPEG2:
            return ["-c:v", "mpeg2video", "-bf", "2", "-g", str(gop), *rate, *scan]
        if self.codec == X265:
            return ["-c:v", "libx265", "-preset", PRESETS["hevc"], *rate, "-x265-params", f"log-level=error:pools=none:frame-threads=1:keyint={gop}:slices={self.slices}"]
        return ["-c:v", "libx264", "-preset", PRESETS["h264"], "-g", str(gop), *rate, "-slices", str(self.slices), *scan]


@dataclass
class Clip:
    """A plan that recipes write into. Numbers of pictures count from 0 at the clip's own rate."""

    id: str
    family: str
    shots: list  # (content, first picture, pictures), joined by cuts
    width: int = 640
    height: int = 360
    fps: Fraction = Fraction(25)
    seconds: float = 10.0
    coding: Coding = field(default_factory=Coding)
    sound: str = ""
    sound_start: float = 0.0
    filters: list = field(default_factory=list)
    sound_work: list = field(default_factory=list)  # functions of the samples
    stream_work: list = field(default_factory=list)  # functions of (clip, path): the file is changed where it lies
    out_pictures: int = 0  # after filters that change their number; 0: all
    rendered_fps: Fraction = Fraction(0)  # of the pictures that the filters get, where that differs
    labels: list = field(default_factory=list)
    ignore: list = field(default_factory=list)
    hard: str = ""
    note: str = ""
    photo: str = ""  # a second input, [1:v], shown as it is

    @property
    def negative(self):
        return self.family == "negative"

    @property
    def chance(self):
        """The same dice for the same clip, whatever else is made."""
        return random.Random(int(hashlib.sha256(self.id.encode()).hexdigest()[:8], 16))

    def picture(self, second):
        return round(second * self.fps)

    def exact(self, second):
        """The time of the picture that a time falls on."""
        return float(self.picture(second) / self.fps)

    def between(self, start, end):
        """A timeline expression that holds from the picture at `start` to the last before `end`."""
        return f"between(n,{self.picture(start)},{self.picture(end) - 1})"

    def label(self, defect, start, end, variant, severity="major", **more):
        self.labels.append({"defect": defect, "start_s": round(start, 4), "end_s": round(end, 4), "variant": variant, "severity": severity, **more})
        for implied in IMPLIED.get(defect, "").split():
            self.ignored(implied, start - EARLY_S, end + AFTER_S, f"implied by {defect}")

    def ignored(self, defect, start, end, why, policy=False):
        entry = {"defect": defect, "start_s": round(max(start, 0.0), 4), "end_s": round(end, 4), "why": why}
        self.ignore.append(entry | ({"policy": True} if policy else {}))

    def graph(self):
        """The filter graph from the masters to the pictures that are coded."""
        rate = self.rendered_fps or self.fps
        parts, names = [], []
        for i, (_, first, pictures) in enumerate(self.shots):
            parts.append(f"[{i}:v]trim=start_frame={first}:end_frame={first + pictures},settb=1/90000,setpts=N/({rate})/TB,fps={rate},"
                         f"scale={self.width}:{self.height}:force_original_aspect_ratio=increase:flags=bicubic,crop={self.width}:{self.height},setsar=1,format=yuv420p[s{i}]")
            names.append(f"[s{i}]")
        if len(self.shots) > 1:
            parts.append(f"{''.join(names)}concat=n={len(names)}:v=1,fps={rate}[shots]")
        begin = "[shots]" if len(self.shots) > 1 else "[s0]"
        chain = ",".join(f.replace("@photo", f"[{len(self.shots)}:v]") for f in self.filters) or "null"
        parts.append(f"{begin}{chain},format=yuv420p[v]")
        return ";".join(parts)

    def command(self, library, heard, out):
        """FFmpeg's words for the undamaged stream."""
        words = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-filter_complex_threads", "1"]
        for name, _, _ in self.shots:
            words += ["-threads", "1", "-stream_loop", "-1", "-i", str(library.master(name))]
        if self.photo:
            words += ["-loop", "1", "-framerate", str(self.fps), "-i", str(library.photo(self.photo))]
        maps = ["-map", "[v]"]
        if heard:
            words += ["-i", str(heard)]
            maps += ["-map", f"{len(self.shots) + bool(self.photo)}:a"]
        return words + ["-filter_complex", self.graph(), *maps, "-t", str(self.seconds), "-fps_mode", "passthrough",
                        *self.coding.words(self.fps), "-threads", "1", "-c:a", "aac", "-b:a", "128k", "-fflags", "+bitexact", "-f", "mpegts", str(out)]

    def render(self, library, heard, out):
        """Writes the clip to `out` and returns its entry for labels.json."""
        out = Path(out)
        out.parent.mkdir(parents=True, exist_ok=True)
        wav = None
        if self.sound:
            samples = heard.cut(self.sound, self.sound_start, self.seconds)
            for work in self.sound_work:
                work(samples)
            wav = out.with_suffix(".wav")
            sounds.write(samples, wav)
        done = subprocess.run(self.command(library, wav, out), capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{self.id}: {done.stderr.strip()[-400:]}")
        if wav:
            wav.unlink()
        for work in self.stream_work:
            work(self, out)
        self.audit(out)
        return self.entry(out)

    def audit(self, path):
        """What the content itself holds of stillness is a matter of taste, not a false alarm."""
        spans = [(i["start_s"], i["end_s"]) for i in self.ignore if i["defect"] == "freeze"]
        spans += [(lab["start_s"] - EARLY_S, lab["end_s"] + AFTER_S) for lab in self.labels if lab["defect"] == "freeze"]
        for start, end in stream.still(path, self.width, self.height, self.fps):
            if not any(a <= start and end <= b for a, b in spans):
                self.ignored("freeze", start - EARLY_S, end + AFTER_S, "the content itself stands still", policy=True)
                self.ignore[-1]["by"] = "audit"

    def entry(self, path):
        data = path.read_bytes()
        return {
            "id": self.id, "file": f"media/{path.name}", "family": self.family, "negative": self.negative, "hard_negative": self.hard or None,
            "duration_s": round(self.seconds, 3),
            "video": {"codec": self.coding.codec, "width": self.width, "height": self.height, "fps": str(self.fps),
                      "field_order": "tff" if self.coding.interlaced else "progressive"},
            "audio": {"codec": "aac", "channels": 2, "rate": sounds.RATE} if self.sound else None,
            "content": sorted({name for name, _, _ in self.shots}), "note": self.note, "labels": sorted(self.labels, key=lambda lab: lab["start_s"]),
            "ignore": self.ignore, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(),
        }

    def needs(self):
        return {name for name, _, _ in self.shots}
