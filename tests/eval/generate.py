#!/usr/bin/env python3
"""Makes a bank of labelled MPEG-TS clips for the evaluation, in the form that score.py reads.

  generate.py --out target/eval/small                     # the set that CI uses (about 110 clips of 10 s)
  generate.py --out target/eval/full --full --times 3     # the same recipes on other contents, sizes, rates and codecs too
  generate.py --out target/eval/clean --clean 60          # an hour of varied footage in which nothing is wrong

A clip is made once and kept until its recipe changes. Contents out of packages need a registry; where it cannot be reached the clips
made of them are skipped, and said so. Needs FFmpeg's command line tool and, for the packages, pip, npm and apt-get.
"""
import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cases
import footage
import sounds

HERE = Path(__file__).resolve().parent


def fingerprint(row):
    """Changes when a clip would come out otherwise: its row, or the code that makes clips."""
    own = Path(row[1].__code__.co_filename).name
    shared = ("clip.py", "footage.py", "hearing.py", "negatives.py", "recipes.py", "sounds.py", "stream.py")
    code = b"".join((HERE / name).read_bytes() for name in (*shared, *(() if own in shared else (own,))))
    words = repr((row[0], row[1].__qualname__, *row[2:]))
    return hashlib.sha256(code + words.encode()).hexdigest()[:16]


def one(row, library, heard, out):
    """The entry of one clip, from the last run where nothing changed; or a line that says why there is none."""
    clip = cases.plan(row)
    lacking = sorted(n for n in clip.needs() if not library.has(n)) + ([clip.photo] if clip.photo and not library.photo(clip.photo) else [])
    if lacking:
        return f"SKIPPED {clip.id}: no {', '.join(lacking)}"
    path = out / "media" / f"{clip.id}.ts"
    kept = path.with_suffix(".json")
    print_of = fingerprint(row)
    if path.is_file() and kept.is_file():
        entry = json.loads(kept.read_text())
        if entry.pop("recipe") == print_of:
            return entry
    try:
        entry = clip.render(library, heard, path)
    except (RuntimeError, subprocess.CalledProcessError) as error:
        return f"FAILED {clip.id}: {error}"
    kept.write_text(json.dumps(entry | {"recipe": print_of}))
    if not clip.negative and not entry["labels"]:
        return f"FAILED {clip.id}: nothing of the damage is visible"
    return entry


def contents_used(entries):
    used = sorted({name for entry in entries for name in entry["content"]})
    about = {}
    for name in used:
        content = footage.CONTENTS[name]
        package = footage.packages.PACKAGES.get(content.package)
        about[name] = {"title": content.title, "source": f"{package.name} {package.version} ({package.registry}): {content.member}" if package else "FFmpeg lavfi",
                       "licence": package.licence if package else "synthetic"}
    return about


def write_labels(out, name, entries, skipped, clean):
    document = {"version": 1, "set": name, "about": "Labelled defects, made by tests/eval/generate.py", "time_zero": "presentation time of the first video picture",
                "contents": contents_used(entries), "skipped": skipped, "clean_run": clean, "cases": entries}
    (out / "labels.json").write_text(json.dumps(document, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--cache", type=Path, default=Path("target/eval/cache"))
    parser.add_argument("--full", action="store_true", help="the larger set")
    parser.add_argument("--times", type=int, default=3, help="how often the larger set draws each recipe")
    parser.add_argument("--seed", type=int, default=1, help="of the larger set's and the clean run's dice")
    parser.add_argument("--clean", type=float, metavar="MINUTES", help="make the clean run instead")
    parser.add_argument("--only", default="", help="comma-separated: clips whose name contains one of these")
    parser.add_argument("--jobs", type=int, default=min(os.cpu_count() or 1, 8))
    options = parser.parse_args()
    began = time.monotonic()
    library = footage.Library(options.cache)
    heard = sounds.Sounds(library)
    options.out.mkdir(parents=True, exist_ok=True)
    if options.clean:
        import clean_run
        entries, notes = clean_run.make(options.clean, options.seed, library, heard, options.out, options.jobs)
    else:
        wanted = [row for row in cases.rows(options.full, options.seed, options.times) if not options.only or any(o in row[0] for o in options.only.split(","))]
        entries, notes = bank(wanted, library, heard, options)
    write_labels(options.out, options.out.name, entries, notes, bool(options.clean))
    for note in notes:
        print(f"eval: {note}")
    seconds = sum(e["duration_s"] for e in entries)
    print(f"eval: {len(entries)} clips, {seconds / 60:.1f} min, {sum(len(e['labels']) for e in entries)} labels in {options.out}, made in {time.monotonic() - began:.0f} s")
    return 1 if any(n.startswith("FAILED") for n in notes) else 0


def bank(wanted, library, heard, options):
    """All masters first, since several clips wait for one; then the clips."""
    needed = sorted({name for row in wanted for name in row[3].split() if library.has(name)})
    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(library.master, needed))
        for name in sorted({row[6] for row in wanted if row[6]}):
            heard.samples(name)
        made = list(pool.map(lambda row: one(row, library, heard, options.out), wanted))
    return [m for m in made if isinstance(m, dict)], [m for m in made if isinstance(m, str)]


if __name__ == "__main__":
    sys.exit(main())
