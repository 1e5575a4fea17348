#!/usr/bin/env python3
"""Runs Picket, and FFmpeg's filters beside it, over a bank of labelled clips, and says how well each defect is found.

  score.py --bank target/eval/small --picket target/quick/picket --baseline --floors tests/eval/floors.json --markdown target/eval/table.md

The rules, so that two scorers give the same figures:
  match      an incident and a label of one defect that overlap, the label widened by the defect's pad on both sides, and whose
             intersection over union is at least 0.3 or whose onsets lie within the tolerance; pairs are taken by the best overlap.
  merged     a label half or more of which lies under an incident that matched another label at most 3 s away: a hit, without times.
  fragment   a further incident of the defect that lies over a matched label: neither hit nor false alarm.
  ignored    an incident half or more of which lies in an ignore span of its defect, and one that begins in the file's last 0.2 s.
  false      every other incident; it counts against its own defect, whatever the clip is about.
  precision  matched / (matched + false); recall: matched / labels; F1 their harmonic mean; macro-F1: the mean over labelled defects.
  latency    the media time of the alert less the label's start; onset: the alert's estimate of the start less the label's.
Times count from the first picture. Indicators of transport (ts_*) are left alone. Standard library only.
"""
import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

TOLERANCE_S = {"audio_dropout": 0.5, "frame_drop": 1.5, "interlace": 1.5, "letterbox": 2.0, "loudness": 4.0, "av_sync": 10.0}
TOLERANCE_ELSE_S = 1.0
PADS_S = {"audio_dropout": 0.25, "timestamp": 2.0, "format_change": 2.0}  # how far an incident may lie beside a label and still touch it
PAD_ELSE_S = 0.5
LEAST_IOU = 0.3
NEIGHBOUR_S = 3.0
LAST_S = 0.2
IGNORE_PAD_S = 0.25
CLIP_TIMEOUT_S = 600


def tolerance(defect):
    return TOLERANCE_S.get(defect, TOLERANCE_ELSE_S)


def pad_of(defect):
    return PADS_S.get(defect, PAD_ELSE_S)


@dataclass
class Incident:
    """One incident as it was told."""

    defect: str
    at: float
    onset: float
    end: float | None = None
    severity: str = ""


def incidents(lines):
    """Those of NDJSON lines, raised paired with cleared; lines of other types and what is never raised are left alone."""
    found, by_id = [], {}
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if not isinstance(event, dict) or event.get("type") != "incident" or str(event.get("defect", "")).startswith("ts_"):
            continue
        key = (event["defect"], event.get("id"))
        if event["state"] == "raised":
            by_id[key] = Incident(event["defect"], event["at_s"], event.get("onset_s", event["at_s"]), None, event.get("severity", ""))
            found.append(by_id[key])
        elif event["state"] == "cleared" and key in by_id and event.get("cleared_by") != "end_of_input":
            by_id[key].end = event.get("end_s", event["at_s"])
    return found


def overlap(a, b):
    """Seconds that two spans share."""
    return max(0.0, min(a[1], b[1]) - max(a[0], b[0]))


def iou(a, b):
    union = max(a[1], b[1]) - min(a[0], b[0])
    return overlap(a, b) / union if union > 0 else 1.0 if a == b else 0.0


def span_of(incident, length):
    """From its onset to its end, or to the file's where it was never cleared."""
    return incident.onset, max(length if incident.end is None else incident.end, incident.onset)


def covered(span, spans):
    """Whether half or more of a span, or the point that it is, lies in the union of `spans`, each widened a little."""
    length = span[1] - span[0]
    wide = sorted((s - IGNORE_PAD_S, e + IGNORE_PAD_S) for s, e in spans)
    if length <= 0:
        return any(s <= span[0] <= e for s, e in wide)
    shared, reached = 0.0, float("-inf")
    for s, e in wide:
        shared += overlap(span, (max(s, reached), max(e, reached)))
        reached = max(reached, e)
    return shared >= length / 2


@dataclass
class Tally:
    """What came out for one defect."""

    labels: int = 0
    hits: int = 0
    false: int = 0
    false_clean: int = 0
    fragments: int = 0
    latency: list = field(default_factory=list)
    onset: list = field(default_factory=list)
    missed: list = field(default_factory=list)
    alarms: list = field(default_factory=list)

    def precision(self):
        return self.hits / (self.hits + self.false) if self.hits + self.false else None

    def recall(self):
        return self.hits / self.labels if self.labels else None

    def f1(self):
        return 2 * self.hits / (2 * self.hits + self.false + self.labels - self.hits) if self.labels else None


def starts(label):
    """Where a label may be said to begin: a jump of the clock has an old time and a new one."""
    return [label["start_s"]] + ([label["alt_start_s"]] if "alt_start_s" in label else [])


def pair(label, incident, length):
    """How well an incident answers a label (IoU, or a little for the onset alone), or None where it does not."""
    tol, pad = tolerance(label["defect"]), pad_of(label["defect"])
    told = span_of(incident, length)
    best = None
    for start in starts(label):
        meant = (start, start + label["end_s"] - label["start_s"])
        if told[0] > meant[1] + pad or told[1] < meant[0] - pad:
            continue
        share = iou(meant, told)
        if share >= LEAST_IOU or abs(incident.onset - start) <= tol:
            best = max(best or 0.0, share)
    return best


def judge_defect(case, labels, told, tally):
    """Pairs one clip's incidents of one defect with its labels."""
    length = case["duration_s"]
    spans = {id(i): span_of(i, length) for i in told}
    pairs = sorted(((p, -n, -m) for n, label in enumerate(labels) for m, i in enumerate(told) if (p := pair(label, i, length)) is not None), reverse=True)
    hit, used = {}, set()
    for _, n, m in pairs:
        if -n not in hit and -m not in used:
            hit[-n] = told[-m]
            used.add(-m)
    tally.labels += len(labels)
    for n, label in enumerate(labels):
        over = (label["start_s"], label["end_s"])
        if n in hit:
            tally.hits += 1
            pad = pad_of(label["defect"])
            first = min((i.at for i in told if overlap(spans[id(i)], (over[0] - pad, over[1] + pad)) > 0), default=hit[n].at)
            start = min(starts(label), key=lambda s: abs(hit[n].onset - s))
            tally.latency.append(min(first, hit[n].at) - start)
            tally.onset.append(hit[n].onset - start)
        elif any(abs(labels[k]["start_s"] - over[1]) <= NEIGHBOUR_S or abs(over[0] - labels[k]["end_s"]) <= NEIGHBOUR_S for k in hit
                 if overlap(spans[id(hit[k])], over) >= (over[1] - over[0]) / 2 and spans[id(hit[k])][1] >= over[0]):
            tally.hits += 1
        else:
            tally.missed.append(f"{case['id']} {label['defect']} {over[0]:.2f}-{over[1]:.2f} {label.get('variant', '')}")
    for m, incident in enumerate(told):
        if m not in used:
            judge_rest(case, labels, hit, incident, spans[id(incident)], tally)


def judge_rest(case, labels, hit, incident, span, tally):
    """An incident that answers no label: a fragment, ignored, or false."""
    pad = pad_of(incident.defect)
    if any(span[0] <= labels[n]["end_s"] + pad and span[1] >= labels[n]["start_s"] - pad for n in hit):
        tally.fragments += 1
        return
    ignores = [(i["start_s"], i["end_s"]) for i in case["ignore"] if i["defect"] == incident.defect]
    if covered(span, ignores) or incident.onset >= case["duration_s"] - LAST_S:
        return
    tally.false += 1
    tally.false_clean += bool(case["negative"])
    tally.alarms.append(f"{case['id']} {incident.defect} {span[0]:.2f}-{span[1]:.2f}" + (f" {incident.severity}" if incident.severity else ""))


def judge(cases, told, only=()):
    """{defect: tally} over all clips; `told` holds each clip's incidents."""
    tallies = {}
    for case in cases:
        defects = {lab["defect"] for lab in case["labels"]} | {i.defect for i in told[case["id"]]}
        for defect in sorted(defects):
            if not only or defect in only:
                mine = sorted((i for i in told[case["id"]] if i.defect == defect), key=lambda i: i.onset)
                judge_defect(case, [lab for lab in case["labels"] if lab["defect"] == defect], mine, tallies.setdefault(defect, Tally()))
    return tallies


@dataclass
class Score:
    """The figures of one detector over a bank."""

    tallies: dict
    negative_hours: float
    hours: float

    @staticmethod
    def of(cases, told, only=()):
        return Score(judge(cases, told, only), sum(c["duration_s"] for c in cases if c["negative"]) / 3600, sum(c["duration_s"] for c in cases) / 3600)

    def macro_f1(self):
        return statistics.fmean([t.f1() for t in self.tallies.values() if t.labels] or [0.0])

    def false_clean(self, defect=None):
        return sum(t.false_clean for d, t in self.tallies.items() if defect in (None, d))

    def per_hour(self):
        return self.false_clean() / self.negative_hours if self.negative_hours else 0.0


def run(command, case, bank):
    """(the clip's incidents, a fault or None)."""
    words = [w.replace("{input}", str(bank / case["file"])) for w in shlex.split(command)]
    try:
        done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=CLIP_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return [], f"{case['id']}: {error}"
    fault = None if done.returncode in (0, 1) else f"{case['id']}: exit {done.returncode}: {done.stderr.strip()[-200:]}"
    return incidents(done.stdout.splitlines()), fault


def baseline(cases, bank, jobs, path, keep):
    """FFmpeg's answers: those kept for the same bytes of a clip, the rest made now (they take four times as long as Picket's)."""
    kept = json.loads(path.read_text()) if path.is_file() else {}
    told = {c["id"]: [Incident(*row) for row in kept[c["id"]]["incidents"]] for c in cases if kept.get(c["id"], {}).get("sha256") == c["sha256"]}
    wanting = [c for c in cases if c["id"] not in told]
    command = f"{shlex.quote(sys.executable)} -B {shlex.quote(str(Path(__file__).with_name('baseline.py')))} {{input}}"
    for first in range(0, len(wanting), 4 * jobs):
        some = wanting[first:first + 4 * jobs]
        made, faults = run_all(command, some, bank, jobs)
        if faults:
            return told | {c["id"]: [] for c in wanting}, faults
        told |= made
        for case in some:
            kept[case["id"]] = {"sha256": case["sha256"], "incidents": [[i.defect, i.at, i.onset, i.end] for i in made[case["id"]]]}
        if keep:
            path.write_text("{\n" + ",\n".join(f'"{name}": {json.dumps(kept[name])}' for name in sorted(kept)) + "\n}\n")
    return told, []


def run_all(command, cases, bank, jobs):
    with ThreadPoolExecutor(jobs) as pool:
        results = list(pool.map(lambda case: run(command, case, bank), cases))
    return {case["id"]: told for case, (told, _) in zip(cases, results)}, [fault for _, fault in results if fault]


def number(value, form="{:.2f}"):
    return "–" if value is None else form.format(value)


def median(values):
    return statistics.median(values) if values else None


def table(picket, baseline=None):
    """The Markdown table, as lines."""
    head = "| defect | labels | hit | false | P | R | F1 | latency s | onset error s | FA clean |"
    rule = "|---|---|---|---|---|---|---|---|---|---|"
    if baseline:
        head, rule = head + " FFmpeg hit | false | F1 |", rule + "---|---|---|"
    lines = [head, rule]
    for defect in sorted(set(picket.tallies) | set(baseline.tallies if baseline else ())):
        t = picket.tallies.get(defect, Tally())
        if baseline and not t.labels:
            t = Tally(baseline.tallies.get(defect, t).labels, *(getattr(t, n) for n in ("hits", "false", "false_clean")))
        row = [f"`{defect}`", t.labels, t.hits, t.false, number(t.precision()), number(t.recall()), number(t.f1()), number(median(t.latency)),
               number(median([abs(o) for o in t.onset])), t.false_clean]
        if baseline:
            b = baseline.tallies.get(defect, Tally())
            row += [b.hits, b.false, number(b.f1())]
        lines.append("| " + " | ".join(str(c) for c in row) + " |")
    lines += ["", f"Picket: macro-F1 {picket.macro_f1():.3f}, {picket.false_clean()} false alarms in {picket.negative_hours * 60:.1f} min of negatives = {picket.per_hour():.0f} per hour."]
    if baseline:
        lines.append(f"FFmpeg's filters: macro-F1 {baseline.macro_f1():.3f}, {baseline.false_clean()} false alarms = {baseline.per_hour():.0f} per hour.")
    return lines


def broken(score, floors):
    """(every floor that does not hold, what could not be measured), as lines."""
    bad, unmeasured = [], []
    for defect, floor in floors.get("f1", {}).items():
        tally = score.tallies.get(defect)
        # One label is found or not: F1 of 0 or 1 says nothing of a floor between.
        labels = tally.labels if tally else 0
        if labels < 2:
            unmeasured.append(f"{defect}: {labels} labels of it were made, 2 are needed")
        elif tally.f1() < floor:
            bad.append(f"{defect}: F1 {tally.f1():.3f} is below {floor:.2f}")
    for defect, most in floors.get("false_clean", {}).items():
        if score.false_clean(defect) > most:
            bad.append(f"{defect}: {score.false_clean(defect)} false alarms in clean material, {most} allowed")
    most = floors.get("false_clean_per_hour")
    if most is not None and score.per_hour() > most:
        bad.append(f"{score.per_hour():.0f} false alarms per hour of clean material, {most} allowed")
    if score.macro_f1() < floors.get("macro_f1", 0.0) and not unmeasured:
        bad.append(f"macro-F1 {score.macro_f1():.3f} is below {floors['macro_f1']:.2f}")
    return bad, unmeasured


def alarm_list(cases, told):
    """Of a clean run: every alarm, whatever its severity."""
    hours = sum(c["duration_s"] for c in cases) / 3600
    alarms = [f"{c['id']} {i.defect} {i.onset:.2f}-{number(i.end)} {i.severity}" for c in cases for i in told[c["id"]]]
    grave = sum(a.endswith(("major", "critical")) for a in alarms)
    return alarms, f"clean run: {hours * 60:.1f} min, {len(alarms)} alarms = {len(alarms) / hours if hours else 0:.1f} per hour, {grave} of them major or critical"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bank", required=True, type=Path, help="folder with labels.json")
    parser.add_argument("--picket", default="target/quick/picket")
    parser.add_argument("--baseline", action="store_true", help="FFmpeg's filters beside it")
    parser.add_argument("--keep", action="store_true", help="write the baseline's answers into baseline.json beside this file")
    parser.add_argument("--floors", type=Path, help="JSON; exit 1 where one is broken")
    parser.add_argument("--markdown", type=Path, help="write the table here too")
    parser.add_argument("--defects", default="", help="comma-separated: only these")
    parser.add_argument("--only", default="", help="comma-separated: clips whose name contains one of these")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--details", action="store_true", help="every miss and false alarm")
    options = parser.parse_args()
    bank = json.loads((options.bank / "labels.json").read_text())
    cases = [c for c in bank["cases"] if not options.only or any(o in c["id"] for o in options.only.split(","))]
    only = set(filter(None, options.defects.split(",")))
    for note in bank.get("skipped", []):
        print(f"eval: {note}")
    told, faults = run_all(f"{shlex.quote(str(options.picket))} analyze --format ndjson {{input}}", cases, options.bank, options.jobs)
    if bank.get("clean_run"):
        alarms, line = alarm_list(cases, told)
        print("\n".join(alarms + faults + [f"eval: {line}"]))
        return 1 if faults or any(a.endswith(("major", "critical")) for a in alarms) else 0
    score, beside = Score.of(cases, told, only), None
    if options.baseline:
        heard, wrong = baseline(cases, options.bank, options.jobs, Path(__file__).with_name("baseline.json"), options.keep)
        beside, faults = Score.of(cases, heard, only), faults + wrong
    lines = table(score, beside)
    print("\n".join(lines))
    if options.markdown:
        options.markdown.write_text("\n".join(lines) + "\n")
    if options.details:
        for defect, tally in sorted(score.tallies.items()):
            print("\n".join([f"missed {m}" for m in tally.missed] + [f"false {a}" for a in tally.alarms]))
    bad, unmeasured = broken(score, json.loads(options.floors.read_text())) if options.floors else ([], [])
    for line in unmeasured:
        print(f"eval: SKIPPED the floor of {line}")
    for line in bad + faults:
        print(f"eval: BROKEN {line}")
    print(f"eval: {len(bad)} floors broken, {len(faults)} faults" if bad or faults else "eval: all floors held" if options.floors else "eval: done")
    return 1 if bad or faults else 0


if __name__ == "__main__":
    sys.exit(main())
