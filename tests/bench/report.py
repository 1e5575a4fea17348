"""Tables of PERFORMANCE.md from what was measured."""
import json
import re
import sys
from pathlib import Path


def number(value, digits=2):
    return f"{value:.{digits}f}"


def span(row, digits=2):
    """Median, and from least to most."""
    if row is None:
        return "no difference"
    return f"{row['median']:.{digits}f} ({row['least']:.{digits}f} to {row['most']:.{digits}f})"


def goals(found):
    """Section 7 of the research: gate, goal, reached."""
    k, i, f, d, s, m = (found.get(part, {}) for part in ("kernels", "instructions", "filters", "decode", "staged", "memory"))
    chain = lambda name: span(f["ratio in process"][name], 1) if f else "not measured"
    net = lambda stream: span(d[stream]["ratio"]) if d else "not measured"
    share = lambda stream: f"{100 * k['ms']['cold']['full_detect']['median'] / d[stream]['ffmpeg ms']['median']:.1f} %" if k and d else "not measured"
    count = lambda name, digits=2: number(i[name], digits) if name in i else "not measured"
    rows = [
        ("full pass, AVX2, instructions per luma sample", "<= 3.2", "<= 2.5", count("full avx2")),
        ("full pass, NEON, instructions per luma sample", "<= 4.0", "<= 3.2", count("full neon")),
        ("light pass, AVX2 / NEON", "<= 0.6 / 0.9", "<= 0.45 / 0.6", f"{count('light avx2')} / {count('light neon')}"),
        ("full pass / (SAD of luma + sum of chroma), cold", "<= 4.0", "<= 2.0", span(k["full/floor2 cold"]) if k else "not measured"),
        ("the same, hot", "<= 9", "<= 5", span(k["full/floor2 hot"]) if k else "not measured"),
        ("light pass / SAD of two lumas, cold", "<= 2.0", "<= 1.3", span(k["light/sad cold"]) if k else "not measured"),
        ("detectors on top of the pass: instructions / time", "<= 25 %", "<= 10 %",
         f"{100 * i['detectors avx2']:.0f} % / {100 * k['detectors/full cold']['median']:.0f} %" if "detectors avx2" in i and k else "not measured"),
        ("FFmpeg's chain C / Picket, same frames, whole processes less reading", ">= 100", ">= 200", span(f["ratio less reading"]["C"], 1) if f else "not measured"),
        ("the same, Picket timed in process", ">= 100", ">= 200", chain("C")),
        ("FFmpeg's cheap chain E / Picket", ">= 3", ">= 5", chain("E")),
        ("FFmpeg's chain F / Picket", ">= 25", ">= 50", chain("F")),
        ("`analyze` of H.264 1080p 7 Mb/s / FFmpeg decoding alone", "<= 1.15", "", net("H.264 zerolatency")),
        ("the same with B pictures", "<= 1.15", "", net("H.264 B pictures")),
        ("the same, HEVC 6 Mb/s", "<= 1.10", "<= 1.05", net("HEVC")),
        ("full pass and detectors / decoding H.264 1080p, one thread", "<= 15 %", "<= 8 %", share("H.264 zerolatency")),
        ("the same, HEVC", "<= 10 %", "<= 5 %", share("HEVC")),
        ("JPEG frames through a store / one process", ">= 2.5", ">= 3.5", span(s["rows"]["JPEG frames through the store"]["ratio"], 1) if s else "not measured"),
        ("sound set / FFmpeg's chain", ">= 3 times", ">= 6 times",
         f"not comparable: silence alone takes {span(k['sound ms per s'])} ms per stereo second" if k else "not measured"),
        ("reference, AVX2 and NEON agree bit for bit", "always", "always", "always (`src/kernels/tests.rs`, on both architectures in CI)"),
        ("bytes of whole frames copied after decoding", "0", "0", "0 for 8-bit planar pictures; others are converted (10 bits below)"),
        ("resident memory: one 1080p source / eight 720p sources, MiB", "", "", f"{m['one 1080p MiB']:.0f} / {m['eight 720p MiB']:.0f}" if m else "not measured"),
        ("growth over looped input at full speed, MiB", "<= 2", "0", f"{m['growth MiB']:.1f} in {m['looped s']} s" if m else "not measured"),
    ]
    return table(("measure", "gate", "goal", "reached"), rows)


def table(head, rows):
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in (head, ["---"] * len(head), *rows)]
    return "\n".join(lines)


def passes(found):
    k = found["kernels"]["ms"]
    i = found.get("instructions", {})
    names = {"sum_luma": "sum of luma", "sad_luma": "SAD of two lumas", "floor2": "SAD of luma + sum of chroma", "light_kernel": "light kernel alone", "light": "light pass", "full": "full pass",
             "light_detect": "light pass and detectors", "full_detect": "full pass and detectors"}
    rows = [(text, span(k["cold"][name], 3), span(k["hot"][name], 3), *(number(i[f"{name} {level}"]) if f"{name} {level}" in i else "" for level in ("avx2", "neon")))
            for name, text in names.items()]
    return table(("1080p, ms per picture", "cold (48 pictures)", "hot (2 pictures)", "AVX2 instr/px", "NEON instr/px"), rows)


def filters(found):
    f = found["filters"]
    rows = [(name, span(f["net ms"][name]), span(f["ratio in process"][name], 1), span(f["ratio less reading"][name], 1), span(f["ratio whole"][name], 1))
            for name in ("A", "E", "F", "C", "all")]
    own = (f"Picket, all its picture detectors: {span(f['picket in process ms'], 3)} ms per picture in process; whole `picket analyze` "
           f"{span(f['whole ms']['picket'])} ms, FFmpeg's reading alone {span(f['whole ms']['null'])} ms, so that what is left of Picket's whole after "
           f"reading is {span(f['picket whole less reading ms'])} ms.")
    return table(("chain", "FFmpeg, ms per picture less reading", "/ Picket in process", "/ Picket less reading", "/ Picket's whole process, reading included"), rows) + "\n\n" + own


def decode(found):
    d = found["decode"]
    rows = [(name, span(row["ffmpeg ms"]), span(row["picket ms"]), span(row["ratio"])) for name, row in d.items() if name != "load"]
    return table(("1080p25 stream", "FFmpeg decoding alone, ms per picture", "`picket analyze`", "ratio"), rows)


def stages(found):
    s = found["staged"]
    rows = [(name, span(row["cpu s per s"], 3), span(row["ratio"], 1), f"{row['per s']['puts']:.0f} / {row['per s']['gets']:.0f} / {row['per s']['steps']:.0f}",
             number(row["dollars per hour"], 4)) for name, row in s["rows"].items()]
    prices = s["prices"]
    note = (f"Prices are parameters, not facts that were looked up here: ${prices['cpu_hour']:g} for a processor hour, ${prices['million_puts']:g} for a million PUT, "
            f"${prices['million_gets']:g} GET, ${prices['million_steps']:g} state transitions. Change them with `--price-cpu-hour` and so on.")
    return table(("how frames travel", "CPU s per stream s, all processes", "ratio", "PUT / GET / steps per s", "$ per stream hour"), rows) + "\n\n" + note


def pair(found):
    k = found["kernels"]
    rows = [(name, span(k[f"{key} ms per s"])) for name, key in (("25 pictures a second against 25", "pair"), ("25 against 50, which show each twice", "pair converted"),
                                                                ("another programme, searched for within 30 s", "pair search"))]
    return table(("a pair", "ms of processor time for each second"), rows)


TABLES = {"goals": goals, "passes": passes, "filters": filters, "decode": decode, "staged": stages, "pair": pair}


def main(folder, page):
    found = {path.stem: json.loads(path.read_text()) for path in Path(folder).glob("*.json")}
    text = page.read_text() if page else ""
    for name, make in TABLES.items():
        try:
            made = make(found)
        except KeyError as missing:
            print(f"report: {name} needs {missing}: measure it first", file=sys.stderr)
            continue
        if page:
            text = re.sub(f"(<!-- {name} -->\n).*?(<!-- /{name} -->)", lambda match: match[1] + made + "\n" + match[2], text, flags=re.S)
        else:
            print(f"\n{name}\n{made}")
    if page:
        loads = ", ".join(f"{name} {part['load']}" for name, part in found.items() if "load" in part)
        text = re.sub("(<!-- load -->).*?(<!-- /load -->)", lambda match: match[1] + loads + match[2], text, flags=re.S)
        page.write_text(text)
    return 0
