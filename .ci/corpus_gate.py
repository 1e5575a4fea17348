#!/usr/bin/env python3
"""Holds the floors on the shared, labelled corpus; prints SKIPPED and exits 0 where there is none.

  .ci/corpus_gate.py --picket target/quick/picket
The corpus is $PICKET_CORPUS, or shared/corpus beside the clone; its evaluator is tools/evaluate.py beside it.
A floor moves with --floor black=0.9, an allowance with --allow block_corruption=0.
"""
import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

FLOORS = {"black": 1.0, "freeze": 0.9, "block_corruption": 0.85, "silence": 1.0, "stream_loss": 1.0, "solid_colour": 1.0, "colour_bars": 1.0,
          "blur": 0.75, "monochrome": 1.0, "noise": 0.75, "video_levels": 1.0, "letterbox": 1.0, "flashing": 1.0, "interlace": 0.75,
          "tearing": 0.75, "frame_drop": 0.75, "timestamp": 1.0, "channel_loss": 0.75, "clipping": 0.75, "phase": 0.75, "loudness": 0.75,
          "audio_dropout": 0.80,
          # Two of its four cases have a line-up signal; speech and film alone are not judged (DETECTION.md).
          "av_sync": 0.65}
# False alarms allowed in material without any defect.
ALLOWED = {defect: 0 for defect in FLOORS} | {"block_corruption": 1, "loudness": 1}


def corpus_folder():
    named = os.environ.get("PICKET_CORPUS")
    if named:
        return Path(named)
    beside = Path(__file__).resolve().parents[2] / "shared" / "corpus"
    return beside if (beside / "labels.json").is_file() else None


def setting(text):
    name, _, value = text.partition("=")
    return name, float(value)


def judge(report, floors, allowed):
    """Every broken floor, as a line for a person."""
    rows = {row["defect"]: row for row in report["families"]}
    broken = []
    for defect, floor in floors.items():
        f1 = rows.get(defect, {}).get("f1")
        if f1 is None:
            broken.append(f"{defect}: no labels were scored")
        elif f1 < floor:
            broken.append(f"{defect}: F1 {f1:.3f} is below {floor:.2f}")
    for defect, most in allowed.items():
        false = rows.get(defect, {}).get("false_clean", 0)
        if false > most:
            broken.append(f"{defect}: {false} false alarms in clean material, {most:.0f} allowed")
    for problem in report["problems"]:
        broken.append(f"{problem['case']}: exit {problem['exit']}, {problem['bad_lines']} unreadable lines: {str(problem['stderr'])[-200:]}")
    return broken


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picket", default="target/quick/picket")
    parser.add_argument("--jobs", default="2")
    parser.add_argument("--floor", action="append", type=setting, default=[])
    parser.add_argument("--allow", action="append", type=setting, default=[])
    options = parser.parse_args()

    corpus = corpus_folder()
    if corpus is None:
        print("corpus: SKIPPED, no corpus here (PICKET_CORPUS is unset and there is no ../shared/corpus): detection quality was not measured")
        return 0
    evaluator = corpus.parent / "tools" / "evaluate.py"
    if not evaluator.is_file():
        print(f"corpus: {corpus} has no evaluator {evaluator}", file=sys.stderr)
        return 3

    floors = FLOORS | dict(options.floor)
    allowed = ALLOWED | dict(options.allow)
    picket = shlex.quote(str(Path(options.picket).resolve()))
    with tempfile.TemporaryDirectory() as work:
        report = Path(work, "report.json")
        run = subprocess.run([sys.executable, evaluator, "--corpus", corpus, "--cmd", f"{picket} analyze --format ndjson {{input}}",
                              "--defects", ",".join(floors), "--jobs", options.jobs, "--json", report, "--details"], check=False)
        if run.returncode != 0:
            print(f"corpus: the evaluator ended with {run.returncode}", file=sys.stderr)
            return 3
        broken = judge(json.loads(report.read_text()), floors, allowed)
    for line in broken:
        print(f"corpus: BROKEN {line}")
    print(f"corpus: {len(broken)} floors broken" if broken else "corpus: all floors held")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
