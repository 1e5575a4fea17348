#!/usr/bin/env python3
"""What FFmpeg's own filters say of a clip, as incidents: the column beside Picket's.

  baseline.py clip.ts

One run of the command line tool with blackdetect, freezedetect, blockdetect, blurdetect, signalstats, idet, cropdetect, photosensitivity,
silencedetect, astats, aphasemeter and ebur128; their measures, the decoder's complaints and the times of the pictures become incidents.
Filters' own defaults where there are some; else thresholds that a reader of their manuals would choose, and a hold time. Nothing in FFmpeg
speaks of tearing or colour bars.
"""
import json
import re
import statistics
import subprocess
import sys

SILENT_DB, SILENCE_S, BLACK_S = -60, 2.0, 2.0
DROPOUT_S = (0.02, 0.5)

VIDEO = ("blackdetect=d=0.1,freezedetect,idet,cropdetect=reset=1,blockdetect,blurdetect,signalstats=stat=tout+brng,photosensitivity,metadata=print")
AUDIO = f"silencedetect=n={SILENT_DB}dB:d={DROPOUT_S[0]},astats=metadata=1:reset=10,aphasemeter=video=0:phasing=1,ebur128=metadata=1:framelog=verbose,ametadata=print"

FRAME = re.compile(r"^\[Parsed_(a?)metadata_\d+ @ [^\]]*\] frame:\d+\s+pts:-?\d+\s+pts_time:(-?[\d.]+)")
VALUE = re.compile(r"^\[Parsed_a?metadata_\d+ @ [^\]]*\] lavfi\.([\w.]+)=(\S+)")
SILENCE = re.compile(r"^\[silencedetect @ [^\]]*\] silence_(start|end): (-?[\d.]+)")
COMPLAINT = re.compile(r"^\[(h264|hevc|mpeg2video) @ [^\]]*\] .*(error|corrupt|conceal|invalid|missing|Could not find ref|slice|damaged|bytestream|mb|ac-tex)", re.I)


def command(path):
    probe = subprocess.run(["ffprobe", "-v", "quiet", "-show_entries", "stream=codec_type", "-of", "csv=p=0", path], capture_output=True, text=True, check=False)
    graph, maps = f"[0:v:0]{VIDEO}[v]", ["-map", "[v]"]
    if "audio" in probe.stdout:
        graph, maps = graph + f";[0:a:0]{AUDIO}[a]", [*maps, "-map", "[a]"]
    return ["ffmpeg", "-nostdin", "-hide_banner", "-nostats", "-v", "repeat+info", "-copyts", "-threads", "1", "-i", path, "-filter_complex", graph, *maps,
            "-fps_mode", "passthrough", "-f", "null", "-"]


class Line:
    """One defect: present and absent become raised and cleared after hold times."""

    lines = 0

    def __init__(self, defect, hold, clear=0.5):
        self.defect, self.hold, self.clear = defect, hold, clear
        self.since = self.absent = self.id = None

    def say(self, now, present, onset=None):
        if present:
            self.absent = None
            self.since = self.since if self.since is not None else (now if onset is None else onset)
            if self.id is None and now - self.since >= self.hold:
                Line.lines += 1
                self.id = str(Line.lines)
                tell(self.defect, "raised", self.id, now, onset_s=self.since)
            return
        if self.absent is None:
            self.absent = now
        if self.id is None:
            self.since = None
        elif now - self.absent >= self.clear:
            tell(self.defect, "cleared", self.id, now, end_s=self.absent)
            self.since = self.id = None


def tell(defect, state, name, at, **more):
    print(json.dumps({"type": "incident", "defect": defect, "state": state, "id": name, "at_s": round(at, 3)} | {k: v if isinstance(v, str) else round(v, 3) for k, v in more.items()}))


class Judge:
    """Measures in, incidents out."""

    HOLDS = {"black": BLACK_S, "freeze": 0.0, "block_corruption": 0.0, "blur": 1.0, "solid_colour": 1.0, "monochrome": 1.0, "noise": 1.0, "video_levels": 1.0, "letterbox": 1.0,
             "flashing": 0.0, "interlace": 1.0, "silence": SILENCE_S, "channel_loss": 2.0, "clipping": 0.5, "phase": 2.0, "loudness": 1.0}

    def __init__(self):
        self.lines = {defect: Line(defect, hold) for defect, hold in self.HOLDS.items()}
        self.lines["block_corruption"].clear = 1.0
        self.zero = self.last = self.step = None
        self.steps, self.blurs, self.blocks, self.short = [], [], [], []
        self.crop = self.quiet_since = self.frozen = self.dark = None
        self.complaints = 0
        self.gaps = Line("frame_drop", 0.0, 1.0)

    def picture(self, t, m):
        now = t - self.zero
        self.clock(now)
        self.marks(now, m)
        y = {k: float(m.get(f"signalstats.{k}", "nan")) for k in ("YLOW", "YHIGH", "YAVG", "SATAVG", "TOUT", "BRNG")}
        flat = y["YHIGH"] - y["YLOW"] <= 4
        say = self.say
        say("solid_colour", now, flat and y["YAVG"] > 24 or flat and y["SATAVG"] > 20)
        say("monochrome", now, y["SATAVG"] < 3 and not flat)
        say("noise", now, y["TOUT"] > 0.02)
        say("video_levels", now, y["YAVG"] > 210 or y["BRNG"] > 0.05 or 24 < y["YAVG"] < 32)
        say("flashing", now, float(m.get("photosensitivity.badness", 0)) > 1)
        say("interlace", now, m.get("idet.multiple.current_frame") in ("tff", "bff"))
        say("blur", now, self.unlike(self.blurs, float(m.get("blur", "nan")), 1.4))
        blocky = self.unlike(self.blocks, float(m.get("block", "nan")), 1.5)
        say("block_corruption", now, blocky or self.complaints > 0)
        self.complaints = 0
        crop = (m.get("cropdetect.w"), m.get("cropdetect.h"))
        self.crop = self.crop or (crop if now > 1.0 else None)
        say("letterbox", now, self.crop is not None and all(crop) and smaller(crop, self.crop))

    def say(self, defect, now, present, onset=None):
        self.lines[defect].say(now, present, onset)

    def clock(self, now):
        """Gaps and jumps between pictures."""
        if self.last is not None:
            step = now - self.last
            usual = statistics.median(self.steps[-25:]) if len(self.steps) > 4 else step
            if step < 0 or step > 5:
                Line.lines += 1
                tell("timestamp", "raised", str(Line.lines), now, onset_s=self.last)
                tell("timestamp", "cleared", str(Line.lines), now, end_s=self.last)
            elif step > 1.0:
                Line.lines += 1
                tell("stream_loss", "raised", str(Line.lines), now, onset_s=self.last)
                tell("stream_loss", "cleared", str(Line.lines), now, end_s=now)
            elif usual > 0:
                self.gaps.say(now, step > 1.5 * usual, self.last)
            if 0 < step < 1:
                self.steps.append(step)
        self.last = now

    def marks(self, now, m):
        """black_start and freeze_start are told once, their ends too."""
        for start, end, name in (("black_start", "black_end", "dark"), ("freezedetect.freeze_start", "freezedetect.freeze_end", "frozen")):
            if start in m:
                setattr(self, name, float(m[start]) - self.zero)
            if end in m:
                setattr(self, name, None)
        self.say("black", now, self.dark is not None, self.dark)
        self.say("freeze", now, self.frozen is not None, self.frozen)

    @staticmethod
    def unlike(past, value, factor):
        """Far above what was usual in the two to four seconds before."""
        if value != value or value == float("inf"):
            return False
        usual = statistics.median(past[-100:]) if len(past) >= 25 else None
        high = usual is not None and value > factor * usual
        if not high:
            past.append(value)
        return high

    def sound(self, t, m):
        if self.zero is None:
            return
        now = t - self.zero
        self.say("silence", now, self.quiet_since is not None, self.quiet_since)
        levels = [level(m.get(f"astats.{c}.RMS_level")) for c in (1, 2)]
        self.say("channel_loss", now, min(levels) < -60 and max(levels) > -45)
        self.say("clipping", now, level(m.get("astats.Overall.Flat_factor")) > 6)
        self.say("phase", now, float(m.get("aphasemeter.phase", 0)) < -0.7)
        short = level(m.get("r128.S"))
        self.say("loudness", now, now > 4 and short > -70 and abs(short + 23) > 7)

    def quiet(self, edge, t):
        """silencedetect's own lines: a short stretch is a dropout, a long one silence."""
        if self.zero is None or edge == "start":
            self.quiet_since = None if self.zero is None else t - self.zero
            return
        end = t - self.zero
        if self.quiet_since is not None and DROPOUT_S[0] <= end - self.quiet_since <= DROPOUT_S[1]:
            Line.lines += 1
            tell("audio_dropout", "raised", str(Line.lines), end, onset_s=self.quiet_since)
            tell("audio_dropout", "cleared", str(Line.lines), end, end_s=end)
        self.quiet_since = None

    def end(self):
        for line in (*self.lines.values(), self.gaps):
            if line.id is not None:
                tell(line.defect, "cleared", line.id, self.last or 0.0, cleared_by="end_of_input")


def smaller(crop, usual):
    try:
        return any(int(now) < int(was) - 15 for now, was in zip(crop, usual))
    except ValueError:
        return False


def level(text):
    try:
        return max(float(text), -200.0)
    except (TypeError, ValueError):
        return -200.0


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    judge, frame, kind, measures = Judge(), None, "", {}

    def flush():
        if frame is not None:
            (judge.sound if kind == "a" else judge.picture)(frame, measures)

    with subprocess.Popen(command(sys.argv[1]), stderr=subprocess.PIPE, text=True, errors="replace", stdin=subprocess.DEVNULL) as tool:
        for line in tool.stderr:
            if begins := FRAME.match(line):
                flush()
                kind, frame, measures = begins[1], float(begins[2]), {}
                if kind == "" and judge.zero is None:
                    judge.zero = frame
            elif value := VALUE.match(line):
                measures[value[1]] = value[2]
            elif quiet := SILENCE.match(line):
                judge.quiet(quiet[1], float(quiet[2]))
            elif COMPLAINT.match(line):
                judge.complaints += 1
    flush()
    judge.end()
    return 0


if __name__ == "__main__":
    sys.exit(main())
