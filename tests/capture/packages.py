"""Debian packages of the test bed: fetched by apt into a folder of our own and unpacked there, never installed.

A kernel has no business in the boot menu of the machine that tests, and Debian 12's emulator refuses to stand beside the qemu-utils of
backports. So apt works on a private state, the machine's own list of what is installed, and only downloads. What else the machine has
need not be fetched; root is not needed.
"""
import os
import re
import shutil
import subprocess
import urllib.parse
from pathlib import Path

LIST = Path(__file__).resolve().parents[2] / "board/packages/capture.txt"
SOURCES = """deb http://deb.debian.org/debian bookworm main
deb http://deb.debian.org/debian bookworm-updates main
deb http://deb.debian.org/debian-security bookworm-security main
"""
# What must come into our own folder although the machine has it, besides the list itself.
OURS = re.compile(r"linux-(image|headers|kbuild)-")
# Come as dependencies of an installed kernel; nothing of them is run.
UNUSED = ("initramfs-tools", "klibc-utils", "libklibc", "linux-base", "linux-libc-dev", "linux-perf", "dkms", "cpio", "kmod")
FETCH_TIMEOUT_S = 240


class Unavailable(Exception):
    """The bed cannot be built on this machine; the text says why."""


def wanted(names=LIST):
    return names.read_text().split()


def check_machine():
    """Raises where Debian 12's packages for amd64 cannot be used."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise Unavailable("not a Debian system: apt-get or dpkg-deb is missing")
    if os.uname().machine != "x86_64":
        raise Unavailable(f"the guest runs this machine's programs, and the bed knows x86_64 only, not {os.uname().machine}")
    system = Path("/etc/os-release").read_text()
    if "VERSION_ID=\"12\"" not in system or not re.search(r"^ID=debian$", system, re.M):
        raise Unavailable("the package list is for Debian 12")


def private_state(folder, names=LIST):
    """apt-get's options for a state in `folder`, in which what the list `names` has is not installed."""
    for name in ("lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "sources.list").write_text(SOURCES)
    paragraphs = Path("/var/lib/dpkg/status").read_text().split("\n\n")
    named = ((re.match(r"Package: (\S+)", p), p) for p in paragraphs)
    ours = set(wanted(names))
    (folder / "status").write_text("\n\n".join(p for m, p in named if m and m[1] not in ours and not OURS.match(m[1])) + "\n")
    settings = {"Dir::State": folder, "Dir::State::lists": folder / "lists", "Dir::State::status": folder / "status", "Dir::Cache": folder / "cache",
                "Dir::Etc::sourcelist": folder / "sources.list", "Dir::Etc::sourceparts": "/dev/null", "Debug::NoLocking": "true",
                "Acquire::Retries": "3", "Acquire::Languages": "none",
                "APT::Update::Error-Mode": "any"}
    if os.geteuid() == 0:
        settings["APT::Sandbox::User"] = "root"  # apt's own user may not write here
    return [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]


def apt(options, *words):
    try:
        done = subprocess.run(["apt-get", "-q", "-y", *options, *words], capture_output=True, text=True, timeout=FETCH_TIMEOUT_S, stdin=subprocess.DEVNULL, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"apt-get {words[0]}: {error}") from error
    if done.returncode:
        told = [line for line in done.stderr.splitlines() if line.startswith(("E:", "W:"))] or [f"exit code {done.returncode}"]
        raise Unavailable(f"apt-get {words[0]}: {told[0][:200]}")


def fetch(folder, names=LIST):
    """The files of the packages of the list `names`, all dependencies that the machine lacks among them."""
    options = private_state(folder, names)
    apt(options, "update")
    apt(options, "install", "--no-install-recommends", "--download-only", *wanted(names))
    return sorted((folder / "cache/archives").glob("*.deb"))


def unpack(files, root):
    """All of `files` under `root`; returns what they are, one `name_version` each."""
    root.mkdir(parents=True, exist_ok=True)
    used = [f for f in files if not f.name.startswith(tuple(f"{u}_" for u in UNUSED) + ("initramfs-tools-",))]
    for file in used:
        subprocess.run(["dpkg-deb", "-x", str(file), str(root)], check=True)
    return [urllib.parse.unquote(f.name.rsplit("_", 1)[0]) for f in used]
