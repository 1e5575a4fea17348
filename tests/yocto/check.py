#!/usr/bin/env python3
"""`make yocto-check`: everything about the Yocto layers that can be checked with packages of Python's registry alone.

Prints a line for each stage: ok, skip with its reason, or FAIL with each fault. Exit code 1 when any failed.
"""

import importlib.util
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import warnings

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "yocto/tools")]

import agreement  # noqa: E402
import edid  # noqa: E402
import metadata as layers  # noqa: E402
import rules  # noqa: E402
import start  # noqa: E402

ROOT = layers.ROOT
# oelint-adv's rules that do not fit, each with its reason.
LINT_WITHOUT = json.loads((HERE / "lint.json").read_text())


class Skipped(Exception):
    """A stage cannot be done here."""


def parse_all(metadata: layers.Metadata) -> list[str]:
    """Every recipe and append on every machine, and with DISTRO_FEATURES that leave us out."""
    faults = []
    extra = ("picket/development", "picket/ffmpeg-lean", "picket/ffmpeg-srt", "picket/ffmpeg-tls")
    for path in metadata.recipes() + metadata.appends():
        name = path.relative_to(ROOT / "yocto")
        for machine in layers.MACHINES:
            d = metadata.parse(path, metadata.configuration(machine, extra))
            faults += [f"{name} on {machine}: {fault}" for fault in layers.function_faults(d)]
            for uri in (d.getVar("SRC_URI") or "").split():
                kind, _, file, *_ = layers.bb.fetch2.decodeurl(uri)
                if kind == "file" and not layers.find_file(file, path, d):
                    faults.append(f"{name} on {machine}: {uri} is not there")
        named = [folder for folder in (d.getVar("FILESEXTRAPATHS") or "").split(":") if folder and "__default" not in folder]
        faults += [f"{name}: FILESEXTRAPATHS names {folder}, which is not there" for folder in named if not pathlib.Path(folder).is_dir()]
        if not layers.belongs(path, d):
            faults.append(f"{name}: layer.conf does not reach it")
        faults += recipe_faults(name, path, d) if path.suffix == ".bb" else append_faults(name, metadata.parse(path, metadata.configuration(features="x")))
    return faults


def recipe_faults(name: pathlib.Path, path: pathlib.Path, d) -> list[str]:
    """What a recipe must say."""
    inherits = layers.inherited(path)
    faults = [] if d.getVar("SUMMARY") else [f"{name}: no SUMMARY"]
    if not d.getVar("LICENSE") and "packagegroup" not in inherits:
        faults.append(f"{name}: no LICENSE")
    for file, md5 in re.findall(r"file://(\S+?);md5=([0-9a-f]{32})", d.getVar("LIC_FILES_CHKSUM") or ""):
        source = pathlib.Path(file) if file.startswith("/") else ROOT / file
        digest = layers.bb.utils.md5_file(str(source)) if source.exists() else "nothing"
        if digest != md5:
            faults.append(f"{name}: {source.name} has the MD5 sum {digest}")
    if "cargo" in inherits:
        head = subprocess.run(["git", "-C", ROOT, "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
        if not re.fullmatch("[0-9a-f]{40}", d.getVar("SRCREV")) or d.getVar("SRCREV") != head:
            faults.append(f"{name}: SRCREV is {d.getVar('SRCREV')}, not the commit {head} that is checked out")
        if "cargo-update-recipe-crates" not in inherits:
            faults.append(f"{name}: cargo without cargo-update-recipe-crates")
    if "systemd" in inherits:
        units = [unit for key in d.keys() if key.startswith("SYSTEMD_SERVICE:") for unit in d.getVar(key).split()]
        places = [path.parent / "files", ROOT / "systemd"]
        faults += [f"{name}: no unit {unit}" for unit in units if not any((place / unit).exists() for place in places)]
        if not units:
            faults.append(f"{name}: inherits systemd without a unit")
    if "core-image" in inherits:
        loose = {"allow-empty-password", "allow-root-login", "empty-root-password", "serial-autologin-root"}
        if "dev" not in path.stem and loose & set(d.getVar("IMAGE_FEATURES").split()):
            faults.append(f"{name}: {loose & set(d.getVar('IMAGE_FEATURES').split())} in what is shipped")
        if "vivid" in d.getVar("IMAGE_INSTALL"):
            faults.append(f"{name}: vivid in what is shipped")
    return faults


def append_faults(name: pathlib.Path, d) -> list[str]:
    """Without our DISTRO_FEATURE an append must change nothing."""
    changed = [key for key in ("SRC_URI", "FILESEXTRAPATHS", "do_install", "PACKAGECONFIG", "DEPENDS") if d.getVar(key)]
    return [f"{name}: changes {key} although DISTRO_FEATURES lacks 'picket'" for key in changed]


def fragments(metadata: layers.Metadata) -> list[str]:
    """What bitbake-config-build asks of a fragment."""
    faults = []
    for name in metadata.fragments():
        d = metadata.fragment(name, metadata.configuration(features="x"))
        faults += [f"{name}: no {key}" for key in ("BB_CONF_FRAGMENT_SUMMARY", "BB_CONF_FRAGMENT_DESCRIPTION") if not d.getVar(key)]
    return faults


def crates() -> list[str]:
    done = subprocess.run([sys.executable, "-B", ROOT / "yocto/tools/crates.py", "--check"], capture_output=True, text=True)
    return [] if done.returncode == 0 else [done.stderr.strip()]


def lint() -> list[str]:
    """oelint-adv's errors and warnings, without the rules of lint.json."""
    if not importlib.util.find_spec("oelint_adv"):
        raise Skipped("oelint-adv is not installed")
    files = [path for layer in layers.LAYERS.values() for path in rules.texts(layer, ".bb", ".bbappend")]
    without = [word for rule in LINT_WITHOUT for word in ("--suppress", rule)]
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run([sys.executable, "-B", "-m", "oelint_adv", "--quiet", "--release", rules.RELEASE, "--jobs", "1", "--hide", "info",
                               "--cachedir", home, *without, *map(str, files)], capture_output=True, text=True, timeout=300)
    said = (done.stdout + done.stderr).replace(f"{ROOT}/yocto/", "").splitlines()
    return [line for line in said if re.search(r":(error|warning):|Traceback|Error", line)]


def kas() -> list[str]:
    """kas's own schema; every included file, fragment, layer folder and machine exists."""
    if not importlib.util.find_spec("kas"):
        raise Skipped("kas is not installed")
    import jsonschema
    import yaml
    schema = json.loads((pathlib.Path(importlib.util.find_spec("kas").origin).parent / "schema-kas.json").read_text())
    faults, machines = [], set()
    known = set(layers.Metadata.fragments())
    for path in sorted((ROOT / "yocto/kas").glob("*.yml")):
        told = yaml.safe_load(path.read_text())
        faults += [f"{path.name}: {error.message}" for error in jsonschema.Draft7Validator(schema).iter_errors(told)]
        faults += [f"{path.name}: includes {name}, which is not there" for name in told["header"].get("includes", []) if not (path.parent / name).exists()]
        used = " ".join(re.findall(r'OE_FRAGMENTS \+= "([^"]*)"', path.read_text())).split()
        faults += [f"{path.name}: there is no fragment {name}" for name in used if name not in known]
        own = told.get("repos", {}).get("picket", {}).get("layers", {})
        faults += [f"{path.name}: there is no layer {folder}" for folder in own if not (ROOT / folder / "conf/layer.conf").exists()]
        if machine := told.get("machine"):
            machines.add(machine)
            fragment = layers.MACHINES.get(machine, ("?",))[0]
            if path.stem != fragment or f"picket-bsp/{fragment}" not in used:
                faults.append(f"{path.name}: {machine} is not with its fragment")
    if machines != set(layers.MACHINES):
        faults.append(f"kas files are for {sorted(machines)}, the check's machines are {sorted(layers.MACHINES)}")
    return faults


def units() -> list[str]:
    """systemd-analyze on every unit of the layers, their programs stood in for."""
    if not shutil.which("systemd-analyze"):
        raise Skipped("no systemd-analyze")
    # Those of board/ go into the image of both.
    folders = [*layers.LAYERS.values(), ROOT / "board/common/files"]
    files = [path for folder in folders for path in rules.texts(folder, ".service", ".mount", ".automount", ".timer", ".path")]
    with tempfile.TemporaryDirectory() as place:
        for path in files + [ROOT / "systemd/picket.service"]:
            text = re.sub(r"^(Exec\w+=[-@:+!]*)/\S+", r"\1/bin/true", path.read_text(), flags=re.M)
            # A template is verified as one of its instances.
            (pathlib.Path(place) / path.name.replace("@.", "@video0.")).write_text(text)
        names = sorted(entry.name for entry in pathlib.Path(place).iterdir())
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *names], cwd=place, capture_output=True, text=True)
        said = [line for line in done.stderr.splitlines() if any(name in line for name in names)]
    return said if done.returncode == 0 else said or [done.stderr.strip()]


def edids() -> list[str]:
    """The files are what the tool makes; taken apart again they say the timings; edid-decode finds no fault."""
    faults = []
    for name, (product, wanted) in edid.EDIDS.items():
        path = edid.FOLDER / f"{name}.hex"
        blob = bytes.fromhex(path.read_text())
        if blob != edid.build(product, wanted):
            faults.append(f"{path.name} is not what edid.py makes: run '{edid.AGAIN}'")
        said = edid.read(blob)
        first = edid.TIMINGS[wanted[0]]
        if said["detailed"][0] != (first.width, first.height, round(first.rate, 2)) or not said["hdmi"] or said["audio"] != [(1, 2)]:
            faults.append(f"{path.name}: preferred {said['detailed'][0]}, HDMI {said['hdmi']}, sound {said['audio']}")
        if said["vics"] != [edid.TIMINGS[timing].vic for timing in wanted] + [edid.VGA]:
            faults.append(f"{path.name}: formats {said['vics']}")
        for timing in wanted:
            if abs(edid.TIMINGS[timing].rate - float(timing.split("p")[1])) > 0.005:
                faults.append(f"{timing} has {edid.TIMINGS[timing].rate:.3f} pictures per second")
        spoilt = bytes([*blob[:60], blob[60] ^ 1, *blob[61:]])
        try:
            edid.read(spoilt)
            faults.append(f"{path.name}: a wrong bit is not seen")
        except ValueError:
            pass
        if shutil.which("edid-decode"):
            done = subprocess.run(["edid-decode", "--check"], input=path.read_text(), capture_output=True, text=True)
            if "EDID conformity: PASS" not in done.stdout or "Warnings:" in done.stdout:
                faults.append(f"{path.name}: edid-decode: {done.stdout[-300:]}")
    if not shutil.which("edid-decode"):
        print("  note: no edid-decode here, only our own reading")
    return faults


def start_scripts() -> list[str]:
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode:
        raise Skipped("no mount namespace (root is needed)")
    return start.check_init()


def main() -> int:
    # The parser generator of BitBake's shell parser complains about BitBake's own grammar.
    warnings.filterwarnings("ignore", message="PLY:")
    metadata = layers.Metadata()
    stages = {
        "crates": (crates, "the recipe's crates are those of Cargo.lock"),
        "versions": (rules.check_versions, "the recipe's version; Rust no newer than the release's"),
        "text": (rules.check_text, "rules of text, guards, what a layer must have"),
        "parse": (lambda: parse_all(metadata), f"BitBake's parser: {len(metadata.recipes())} recipes, {len(metadata.appends())} appends, "
                                               f"{len(layers.MACHINES)} machines"),
        "fragments": (lambda: fragments(metadata), f"{len(metadata.fragments())} fragments"),
        "partitions": (lambda: agreement.check_partitions(metadata), "wks of every machine as board/common says"),
        "updates": (lambda: agreement.check_updates(metadata), "system.conf, bundle, boot script, environment"),
        "data": (agreement.check_data, "folders, mount units and identity as board/ has them"),
        "appliance": (lambda: agreement.check_appliance(metadata), "what is installed and started beside the daemon, as in board/"),
        "user": (lambda: agreement.check_user(metadata), "user and groups as systemd/ and board/ have them"),
        "ffmpeg": (lambda: agreement.check_ffmpeg(metadata), "components as board/ has them, LGPL"),
        "kas": (kas, "kas's schema, fragments, layers, machines"),
        "units": (units, "systemd-analyze verify"),
        "start": (start_scripts, "picket-init, run on a made-up root"),
        "edid": (edids, "EDIDs: checksums, timings, conformity"),
        "lint": (lint, f"oelint-adv, without {len(LINT_WITHOUT)} rules (tests/yocto/lint.json says why)"),
    }
    wanted = sys.argv[1:] or list(stages)
    failed, began = 0, time.monotonic()
    for name in wanted:
        call, what = stages[name]
        try:
            faults = call()
        except Skipped as reason:
            print(f"skip {name}: {reason}")
            continue
        except (layers.Fault, ValueError, OSError, subprocess.SubprocessError) as error:
            faults = [str(error)]
        failed += bool(faults)
        print(f"{'FAIL' if faults else 'ok':4} {name}: {what}")
        for fault in faults:
            print(f"       {fault}")
    print(f"yocto: {len(wanted)} stages, {failed} failed, {time.monotonic() - began:.0f} s. Not checked here: dependencies on other layers, and any build "
          "(make yocto-layers; yocto/README.md)")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
