"""QEMU for arm64 and UEFI for it: Debian's packages, unpacked into a cache of our own (tests/capture/packages.py says why)."""
import hashlib
import os
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "capture"))
import packages  # noqa: E402

LIST = HERE.parents[1] / "board/packages/image-emulator.txt"
FIRMWARE, VARIABLES = "usr/share/AAVMF/AAVMF_CODE.fd", "usr/share/AAVMF/AAVMF_VARS.fd"


class Emulator:
    """Where its files are."""

    def __init__(self, root):
        self.root = root
        self.program = root / "usr/bin/qemu-system-aarch64"
        self.firmware, self.variables = root / FIRMWARE, root / VARIABLES

    def environment(self):
        folders = ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu")
        return dict(os.environ, LD_LIBRARY_PATH=":".join(str(self.root / f) for f in folders), LC_ALL="C")

    def data(self):
        return [word for name in ("usr/share/qemu", "usr/share/seabios") for word in ("-L", str(self.root / name))]


def get(cache):
    """Unpacked where it is not there yet; raises packages.Unavailable where it cannot be had."""
    packages.check_machine()
    digest = hashlib.sha256(LIST.read_bytes()).hexdigest()[:12]
    ready = Emulator(Path(cache).resolve() / f"emulator-{digest}")
    if ready.program.is_file():
        return ready
    part = ready.root.with_name("emulator-part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    packages.unpack(packages.fetch(part / "apt", LIST), part)
    shutil.rmtree(part / "apt")
    part.rename(ready.root)
    return ready
