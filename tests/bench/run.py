#!/usr/bin/env python3
"""Paired comparisons of speed: ratios within one run, with their spread. `make bench` runs all of it.

  run.py PART... [--picket P] [--kernels P] [--media FILE] [--out FOLDER]    PART: kernels instructions filters decode staged memory all
  run.py report [--out FOLDER] [--write PERFORMANCE.md]                      tables from what was measured
Processor time, never wall time; candidates in turn within each round, the first round dropped, medians with least and most.
"""
import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import staged

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
ARM = "aarch64-unknown-linux-gnu"
WIDTH, HEIGHT = 1920, 1080
PIXELS = WIDTH * HEIGHT
# Pictures of raw video: enough for what starting a process costs to fall away.
RAW = 240

# What a user would build of FFmpeg's filters for the same detections; E are the cheap ones alone.
CHAINS = {
    "A": "blackdetect,freezedetect",
    "E": "blackdetect,freezedetect,idet,scdet,cropdetect",
    "F": "blackdetect,freezedetect,blockdetect",
    "C": "blackdetect,freezedetect,blockdetect,blurdetect,signalstats,idet,cropdetect",
    "all": "blackdetect,freezedetect,blockdetect,blurdetect,signalstats,idet,cropdetect,photosensitivity",
}
# List prices as parameters: what they are today is for the reader to look up.
PRICES = (("cpu-hour", 0.104, "of a processor for an hour"), ("puts", 5.0, "of a million PUT"), ("gets", 0.4, "of a million GET"),
          ("steps", 25.0, "of a million state transitions"))
# Floors that CI holds, and what is wanted (instructions per luma sample; share of the pass).
GATES = {"full avx2": 3.2, "full neon": 4.0, "light avx2": 0.6, "light neon": 0.9, "detectors avx2": 0.25}
GOALS = {"full avx2": 2.5, "full neon": 3.2, "light avx2": 0.45, "light neon": 0.6, "detectors avx2": 0.10}


def say(text):
    print(text, file=sys.stderr, flush=True)


def spread(values):
    return {"median": statistics.median(values), "least": min(values), "most": max(values), "n": len(values)}


def ratios(above, below):
    return spread([a / b for a, b in zip(above, below)])


def quotient(above, below):
    """Of two medians; least and most as far apart as the figures allow. A difference that is nothing gives no ratio."""
    if statistics.median(below) <= 0:
        return None
    least, most = min(above) / max(below), max(above) / min(below) if min(below) > 0 else float("inf")
    return {"median": statistics.median(above) / statistics.median(below), "least": least, "most": most, "n": len(above)}


def load():
    return round(os.getloadavg()[0], 2)


def cargo(*arguments):
    subprocess.run([ROOT / "board/cargo.sh", *arguments], cwd=ROOT, check=True)


def ffmpeg(*arguments):
    return ["ffmpeg", "-v", "error", "-nostdin", "-y", *map(str, arguments)]


def make(work, options, wanted):
    """Raw frames and streams, from the given footage or from generated texture with motion and grain."""
    source = ["-stream_loop", "-1", "-i", options.media] if options.media else ["-f", "lavfi", "-i", "mandelbrot=s=960x540:r=25:end_scale=0.02"]
    fit = f"scale={WIDTH}:{HEIGHT}:flags=bicubic,noise=alls=4:allf=t,fps=25,format=yuv420p"
    master = work / "master.mkv"
    staged.run(ffmpeg(*source, "-an", "-vf", fit, "-frames:v", 250, "-c:v", "ffv1", "-threads", 2, master))
    if "filters" in wanted:
        staged.run(ffmpeg("-i", master, "-frames:v", RAW, work / "raw.y4m"))
    x264 = ["-c:v", "libx264", "-b:v", "7M", "-maxrate", "7M", "-bufsize", "7M", "-g", 50]
    if wanted & {"decode", "staged"}:
        staged.run(ffmpeg("-i", master, *x264, "-preset", "veryfast", "-tune", "zerolatency", work / "h264-live.ts"))
    if wanted & {"decode", "memory"}:
        staged.run(ffmpeg("-i", master, *x264, "-preset", "medium", "-bf", 2, work / "h264-b.ts"))
    if "decode" in wanted:
        staged.run(ffmpeg("-i", master, "-c:v", "libx265", "-preset", "superfast", "-b:v", "6M", "-x265-params", "log-level=error", work / "hevc.ts"))


def kernels(options, work):
    report = json.loads(subprocess.run([options.kernels], capture_output=True, text=True, check=True).stdout)
    cold, hot = report["cold_ms"], report["hot_ms"]
    return {
        "load": load(), "kernels": report["kernels"],
        "ms": {kind: {name: spread(values) for name, values in times.items()} for kind, times in (("cold", cold), ("hot", hot))},
        "full/floor2 cold": ratios(cold["full"], cold["floor2"]),
        "full/floor2 hot": ratios(hot["full"], hot["floor2"]),
        "light/sad cold": ratios(cold["light"], cold["sad_luma"]),
        "detectors/full cold": ratios([a - b for a, b in zip(cold["full_detect"], cold["full"])], cold["full"]),
        "sound ms per s": spread(report["sound_ms_per_s"]),
        "pair ms per s": spread(report["pair_ms_per_s"]),
        "pair converted ms per s": spread(report["pair_converted_ms_per_s"]),
        "pair search ms per s": spread(report["pair_search_ms_per_s"]),
    }


def counted(command, name):
    """Executed instructions per luma sample of one candidate: 4 more pictures, their difference."""
    few, many = (command(name, pictures) for pictures in (2, 6))
    return (many - few) / 4 / PIXELS


def callgrind(binary):
    def count(name, pictures):
        said = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*counted*", binary, "--count", name, str(pictures)],
                              capture_output=True, text=True)
        collected = [line for line in said.stderr.splitlines() if "Collected" in line]
        if said.returncode or not collected:
            raise SystemExit(f"bench: valgrind: {said.stderr[-600:]}")
        return int(collected[0].split(":")[1])
    return count


def qemu(binary, work):
    plugin = work / "count.so"
    subprocess.run(["gcc", "-O1", "-shared", "-fPIC", "-o", plugin, HERE / "count.c"], check=True)

    def count(name, pictures):
        said = subprocess.run(["qemu-aarch64", "-plugin", f"file={plugin}", binary, "--count", name, str(pictures)],
                              capture_output=True, text=True)
        lines = [line for line in said.stderr.splitlines() if line.startswith("instructions ")]
        if said.returncode or not lines:
            raise SystemExit(f"bench: qemu-aarch64: {said.stderr[-600:]}")
        return int(lines[0].split()[1])
    return count


def instructions(options, work):
    found = {}
    sets = {}
    if platform.machine() == "x86_64" and shutil.which("valgrind"):
        sets["avx2"] = callgrind(options.kernels)
    if shutil.which("qemu-aarch64") and options.arm.is_file():
        sets["neon"] = qemu(options.arm, work)
    for name in {"avx2", "neon"} - set(sets):
        print(f"SKIPPED: no instructions were counted for {name}: valgrind, qemu-aarch64 or {options.arm.name} is missing")
    for name, count in sets.items():
        full, light, detect = (counted(count, candidate) for candidate in ("full", "light", "full_detect"))
        found |= {f"full {name}": full, f"light {name}": light, f"full_detect {name}": detect, f"detectors {name}": (detect - full) / full}
        found[f"light_detect {name}"] = counted(count, "light_detect")
        if not options.quick:
            found |= {f"{floor} {name}": counted(count, floor) for floor in ("sum_luma", "sad_luma", "floor2", "light_kernel")}
    broken = [f"{name}: {found[name]:.2f}, the gate is {gate}" for name, gate in GATES.items() if found.get(name, 0) > gate]
    for name, value in sorted(found.items()):
        say(f"  {name:18} {value:.3f}" + (f"   gate {GATES[name]}, goal {GOALS[name]}" if name in GATES else ""))
    return found | {"broken": broken}


def filters(options, work):
    raw = work / "raw.y4m"
    chains = {"null": "null"} | CHAINS
    rounds = {name: [] for name in [*chains, "picket"]}
    for round_ in range(options.rounds + 1):
        for name in rounds:
            if name == "picket":
                taken = staged.run([options.picket, "analyze", "--format", "ndjson", raw])
            else:
                taken = staged.run(ffmpeg("-threads", 1, "-filter_threads", 1, "-i", raw, "-vf", chains[name], "-f", "null", "-"))
            if round_:
                rounds[name].append(taken * 1000 / RAW)
    net = {name: [a - b for a, b in zip(rounds[name], rounds["null"])] for name in CHAINS}
    # What is left of Picket's whole after FFmpeg's reading is small; in process it is timed by itself too.
    own = json.loads(subprocess.run([options.kernels], capture_output=True, text=True, check=True).stdout)["cold_ms"]["full_detect"]
    left = [a - b for a, b in zip(rounds["picket"], rounds["null"])]
    return {
        "load": load(),
        "whole ms": {name: spread(values) for name, values in rounds.items()},
        "net ms": {name: spread(values) for name, values in net.items()},
        "picket in process ms": spread(own),
        "picket whole less reading ms": spread(left),
        "ratio in process": {name: quotient(values, own) for name, values in net.items()},
        "ratio less reading": {name: quotient(values, left) for name, values in net.items()},
        "ratio whole": {name: ratios(net[name], rounds["picket"]) for name in CHAINS},
    }


def decode(options, work):
    streams = {"H.264 zerolatency": "h264-live.ts", "H.264 B pictures": "h264-b.ts", "HEVC": "hevc.ts"}
    found = {"load": load()}
    for name, file in streams.items():
        rounds = {"ffmpeg": [], "picket": []}
        for round_ in range(options.rounds + 1):
            alone = staged.run(ffmpeg("-threads", 1, "-i", work / file, "-f", "null", "-"))
            whole = staged.run([options.picket, "analyze", "--format", "ndjson", work / file])
            if round_:
                rounds["ffmpeg"].append(alone * 1000 / 250)
                rounds["picket"].append(whole * 1000 / 250)
        found[name] = {"ffmpeg ms": spread(rounds["ffmpeg"]), "picket ms": spread(rounds["picket"]), "ratio": ratios(rounds["picket"], rounds["ffmpeg"])}
    return found


def stages(options, work):
    folder = work / "staged"
    folder.mkdir(exist_ok=True)
    results = staged.measure(options.picket, work / "h264-live.ts", folder, 3, 10.0)
    prices = {"cpu_hour": options.price_cpu_hour, "million_puts": options.price_puts, "million_gets": options.price_gets, "million_steps": options.price_steps}
    rows = {}
    for name, rounds in results.items():
        middle = {key: statistics.median(r[key] for r in rounds) for key in rounds[0]}
        rows[name] = {
            "cpu s per s": spread([r["cpu_s"] for r in rounds]),
            "ratio": ratios([r["cpu_s"] for r in rounds], [r["cpu_s"] for r in results["one process"]]),
            "per s": middle, "dollars per hour": staged.cost(middle, prices),
        }
    return {"load": load(), "prices": prices, "rows": rows}


def resident(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def looped(options, work, seconds):
    """Resident memory of `analyze` while one stream comes again and again as fast as it decodes."""
    source = subprocess.Popen(ffmpeg("-stream_loop", -1, "-i", work / "h264-b.ts", "-c", "copy", "-f", "mpegts", "-"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    watcher = subprocess.Popen([options.picket, "analyze", "--format", "ndjson", "-"], stdin=source.stdout, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    source.stdout.close()
    samples, until = [], time.monotonic() + seconds
    while time.monotonic() < until and watcher.poll() is None:
        time.sleep(1)
        samples.append(resident(watcher.pid))
    for child in (watcher, source):
        child.kill()
        child.wait()
    return samples


def watched(options, work, files):
    """Resident memory of the daemon with these files as sources."""
    with tempfile.TemporaryDirectory() as folder:
        sources = "".join(f'[[source]]\nid = "s{n}"\ninput = "{file}"\n' for n, file in enumerate(files))
        config = Path(folder) / "picket.toml"
        config.write_text(f'[device]\nmachine_id = "{1:032x}"\nstate_dir = "{folder}/state"\nruntime_dir = "{folder}"\n'
                          f'[budget]\ncpu = "1600%"\nmemory = "4GiB"\nyield_when_busy = false\n{sources}')
        daemon = subprocess.Popen([options.picket, "run", "--config", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        samples = []
        for _ in range(20):
            time.sleep(1)
            samples.append(resident(daemon.pid))
        daemon.terminate()
        daemon.wait(20)
        return max(samples)


def memory(options, work):
    small = work / "h264-720.ts"
    staged.run(ffmpeg("-i", work / "master.mkv", "-vf", "scale=1280:720", "-c:v", "libx264", "-preset", "veryfast", "-b:v", "3M", "-g", 50, small))
    samples = looped(options, work, options.seconds)
    warm = samples[len(samples) // 5:]
    third = max(1, len(warm) // 3)
    growth = statistics.median(warm[-third:]) - statistics.median(warm[:third])
    found = {"one 1080p MiB": watched(options, work, [work / "h264-b.ts"]), "eight 720p MiB": watched(options, work, [small] * 8),
             "looped s": options.seconds, "looped MiB": spread(warm), "growth MiB": growth}
    # The C library's heap breathes by some hundred KiB; a picture that is not given back is 3 MiB.
    found["broken"] = [f"memory grew by {growth:.1f} MiB in {options.seconds} s of looped input"] if growth > 2 else []
    return found


PARTS = {"kernels": kernels, "instructions": instructions, "filters": filters, "decode": decode, "staged": stages, "memory": memory}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="+", choices=[*PARTS, "all", "report"], metavar="PART")
    parser.add_argument("--picket", type=Path, default=ROOT / "target/quick/picket")
    parser.add_argument("--kernels", type=Path, default=ROOT / "target/quick/picket-bench-kernels")
    parser.add_argument("--arm", type=Path, default=ROOT / f"target/{ARM}/release/picket-bench-kernels")
    parser.add_argument("--media", type=Path, help="footage in place of what is generated")
    parser.add_argument("--out", type=Path, default=ROOT / "target/bench")
    parser.add_argument("--quick", action="store_true", help="only what has a gate")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=120, help="of looped input, for memory; 3600 by hand")
    parser.add_argument("--write", type=Path, help="the page whose tables are written anew")
    for name, default, about in PRICES:
        parser.add_argument(f"--price-{name}", type=float, default=default, help=f"price {about}, $ (a parameter)")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.parts == ["report"]:
        import report
        return report.main(options.out, options.write)
    wanted = list(PARTS) if "all" in options.parts else options.parts
    broken = []
    # Memory, where there is some: a disk's cache would be measured too.
    shared = "/dev/shm" if Path("/dev/shm").is_dir() and shutil.disk_usage("/dev/shm").free > 2 << 30 else None
    with tempfile.TemporaryDirectory(dir=shared) as folder:
        work = Path(folder)
        if set(wanted) - {"kernels", "instructions"}:
            say("making footage")
            make(work, options, set(wanted))
        for part in wanted:
            say(f"{part} (load {load()})")
            found = PARTS[part](options, work)
            broken += found.get("broken", [])
            (options.out / f"{part}.json").write_text(json.dumps(found, indent=1) + "\n")
    for line in broken:
        print(f"bench: {line}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
