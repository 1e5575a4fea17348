#!/usr/bin/env python3
"""Runs Picket on real capture drivers: a virtual machine with Debian's kernel and its test drivers vivid, snd-aloop, snd-dummy and v4l2loopback.

  run.py [--picket P] [--cache FOLDER] [SCENARIO...]    all scenarios without a name; --list names them

One line for each: ok, FAILED or SKIPPED with the reason. Exit code 0 when none failed, 1 when one did. Where the machine cannot do it at
all (no Debian 12, no packages to be had) one line with SKIPPED says why, and the exit code is 0: nothing was found, nothing was shown.
"""
import argparse
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import bed as beds
import checks
import machine
import packages
import pictures
import tones

HERE = Path(__file__).resolve().parent
GUEST = HERE / "guest"
BOOT_S, LIMIT_S = 180, 900  # of this machine's time: for the boot, for all


def say(text):
    print(text, flush=True)


def lay_out(bed, picket, names, over):
    """What the guest finds besides the bed: Picket, the scripts, the tones, and the list of what to do."""
    lab = over / "lab"
    (lab / "scripts").mkdir(parents=True)
    beds.add_program(bed, picket, over, "picket")
    for file in ("agent.sh", "lib.sh"):
        shutil.copy2(GUEST / file, lab / file)
    for file in (GUEST / "scenarios").glob("*.sh"):
        shutil.copy2(file, lab / "scripts" / file.name)
    (lab / "formats").write_text("\n".join(pictures.PIXELS) + "\n")
    (lab / "formats-mplane").write_text("\n".join(pictures.MULTI_PLANAR) + "\n")
    (lab / "todo").write_text("".join(f"{name} {checks.SCENARIOS[name][2]}\n" for name in names))
    tones.write(lab / "tone.wav", 1000)
    tones.write(lab / "quiet.wav", None)


class Report:
    """Lines as they come, and the count of each result."""

    def __init__(self):
        self.count = {"ok": 0, "FAILED": 0, "SKIPPED": 0}

    def line(self, name, result, text, seconds=None):
        self.count[result] += 1
        say(f"{name:<15} {result:<8} {'' if seconds is None else f'{seconds:5.1f} s'}  {text}")


def follow(vm, names, out, report, limit):
    """Judges each scenario as it ends. Returns the names that had no end."""
    left, began = list(names), None
    until = time.monotonic() + BOOT_S
    try:
        while (words := vm.next_mark(min(until, limit))) is not None:
            until = limit
            if words[0] == "begin":
                began = time.monotonic()
            elif words[0] == "end":
                name, result = words[1], int(words[2])
                left.remove(name)
                report.line(name, *checks.judge(name, out / name, result), time.monotonic() - began)
            elif words[0] == "stuck":
                say(f"  the module {words[1]} could not be unloaded")
    except TimeoutError:
        say(f"  the machine did not answer in time; its last words: {vm.lines[-1] if vm.lines else 'none'}")
    return left


def run(bed, picket, names, report, keep):
    """All scenarios, in one machine after the other: one that a scenario brings down does not take the others with it."""
    kvm = machine.has_kvm()
    say(f"bed      {bed.about.read_text().splitlines()[0]}, {'KVM' if kvm else 'emulated (no KVM here that Debian knows): times are those of a virtual processor of 1000 million instructions/s'}")
    limit = time.monotonic() + LIMIT_S
    while names:
        with tempfile.TemporaryDirectory(prefix="picket-capture-", dir=keep.parent) as work:
            work = Path(work)
            (work / "out").mkdir()
            lay_out(bed, picket, names, work / "over")
            beds.initrd_with(bed, work / "over", work / "initrd")
            vm = machine.Machine(bed, work / "initrd", work / "out", kvm)
            try:
                left = follow(vm, names, work / "out", report, limit)
            finally:
                used = vm.end()
                (work / "out/console").write_text("\n".join(vm.lines))
                shutil.copytree(work / "out", keep, dirs_exist_ok=True)
        say(f"machine  {used:.0f} s of processor time")
        if left:
            report.line(left[0], "FAILED", "the machine ended in it" if time.monotonic() < limit else "no time was left")
            left = left[1:]
        if left and time.monotonic() >= limit:
            for name in left:
                report.line(name, "SKIPPED", "no time was left")
            left = []
        names = left


def chosen(options, bed, report):
    names = []
    for name in options.scenarios or checks.SCENARIOS:
        lacking = [m for m in checks.SCENARIOS[name][1] if not bed.has_module(m)]
        if lacking:
            report.line(name, "SKIPPED", f"no module {', '.join(lacking)}")
        else:
            names.append(name)
    return names


def interrupted(number, _frame):
    raise SystemExit(128 + number)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO")
    parser.add_argument("--picket", type=Path, default=Path("target/quick/picket"))
    parser.add_argument("--cache", type=Path, default=Path("target/capture"))
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    if options.list:
        say("\n".join(checks.SCENARIOS))
        return 0
    unknown = [name for name in options.scenarios if name not in checks.SCENARIOS]
    if unknown or not options.picket.is_file():
        print(f"capture: {'no scenario ' + unknown[0] if unknown else f'{options.picket} is not there'}", file=sys.stderr)
        return 2
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, interrupted)
    began, report = time.monotonic(), Report()
    try:
        bed = beds.get(options.cache)
    except packages.Unavailable as reason:
        say(f"capture: SKIPPED all scenarios: {reason}")
        return 0
    say(f"bed      ready after {time.monotonic() - began:.0f} s")
    keep = options.cache.resolve() / "last"
    shutil.rmtree(keep, ignore_errors=True)
    run(bed, options.picket.resolve(), chosen(options, bed, report), report, keep)
    say(f"capture  {', '.join(f'{count} {result.lower()}' for result, count in report.count.items())} in {time.monotonic() - began:.0f} s; what they left: {keep}")
    return 1 if report.count["FAILED"] else 0


if __name__ == "__main__":
    sys.exit(main())
