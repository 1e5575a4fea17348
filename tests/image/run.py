#!/usr/bin/env python3
"""Boots the appliance's image in an emulator and puts it through scenarios, unattended.

    tests/image/run.py --image DIR [--closed DIR] [--only start,update] [--out DIR]
"""
import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import box as boxes  # noqa: E402
import broker as brokers  # noqa: E402
import emulator  # noqa: E402
import people  # noqa: E402
import scenarios  # noqa: E402
import trials  # noqa: E402
from packages import Unavailable  # noqa: E402

ALL = {"start": scenarios.start, "card": scenarios.card, "update": scenarios.update, "shut": scenarios.shut, "uefi": scenarios.uefi, "network": people.network,
       "claim": people.claim, "provision": people.provision, "bundles": trials.bundles, "tries": trials.tries, "trials": trials.trials, "cuts": scenarios.cuts}


class Bench:
    """What every scenario needs."""

    def __init__(self, options, machine):
        self.options, self.machine, self.out = options, machine, options.out
        self.image, self.image_closed = options.image / "disk.img", options.closed and options.closed / "disk.img"
        self.image_uefi = options.uefi and options.uefi / "disk.img"
        self.cuts, self.seed = options.cuts, options.seed
        self.broker, self.began, self.boxes = None, 0, []

    def box(self, name, image=None, devices=boxes.VIRTIO):
        made = boxes.Box(self.machine, image or self.image, self.out / name, devices=devices)
        self.boxes.append(made)
        return made

    def device(self, since):
        return self.broker.device(since)

    def variants(self):
        import variants
        cache = self.options.cache
        cert, key = variants.keys.get(cache / "keys")[:2]
        return variants.Variants(json.loads((self.options.image / "about.json").read_text())["board"], cache / "work/root", cert, key, self.out / "bundles")

    def web(self, folder, pair=None):
        return scenarios.Web(folder, pair)

    def fetch(self, box, name):
        """Puts the test's own program into the box."""
        program, source = self.out / name, HERE / f"{name}.c"
        if not program.is_file() or program.stat().st_mtime < source.stat().st_mtime:
            subprocess.run(["aarch64-linux-gnu-gcc", "-O1", "-static", "-o", str(program), str(source)], check=True)
        with self.web(self.out) as url:
            box.must(f"wget -q -O /run/{name} {url}/{name} && chmod +x /run/{name}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image", type=Path, required=True, help="folder of a development image (board/image/build.py --dev)")
    parser.add_argument("--closed", type=Path, help="folder of the image for customers")
    parser.add_argument("--uefi", type=Path, help="folder of the image for generic-uefi")
    parser.add_argument("--cache", type=Path, default=Path("target/image/cache"), help="of the build: keys and the tree for further bundles")
    parser.add_argument("--out", type=Path, default=Path("target/image/test"))
    parser.add_argument("--only", default=",".join(ALL), help="what is to be done, all by default")
    parser.add_argument("--cuts", type=int, default=20, help="how often the plug is pulled")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    options.out, options.cache = options.out.resolve(), options.cache.resolve()
    names = [name for name in options.only.split(",") if {"shut": options.closed, "uefi": options.uefi}.get(name, True)]
    unknown = set(names) - set(ALL)
    if unknown:
        parser.error(f"no scenario {', '.join(sorted(unknown))}; there are {', '.join(ALL)}")
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        machine = emulator.get(options.cache)
        boxes.own_network()
    except (Unavailable, boxes.Failed) as error:
        print(f"SKIPPED: the emulator cannot be had here: {error}")
        return 0
    bench, failed = Bench(options, machine), 0
    bench.broker = brokers.Broker(options.out / "broker")
    try:
        for name in names:
            failed += not one(bench, name)
    finally:
        bench.broker.stop()
    return 1 if failed else 0


def one(bench, name):
    began = time.monotonic()
    shutil.rmtree(bench.out / name, ignore_errors=True)
    bench.began = bench.broker.mark()
    try:
        lines, verdict = ALL[name](bench), "ok"
    except (boxes.Failed, subprocess.CalledProcessError) as error:
        lines, verdict = [str(error)], "FAILED"
    finally:
        for box in bench.boxes:
            box.cut()
        bench.boxes.clear()
    print(f"{name}: {verdict}, {time.monotonic() - began:.0f} s")
    for line in lines:
        print(f"    {line}", flush=True)
    return verdict == "ok"


if __name__ == "__main__":
    sys.exit(main())
