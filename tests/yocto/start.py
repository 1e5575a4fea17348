"""The start of the Yocto image, run for real: picket-init in a mount namespace on a made-up root."""

import hashlib
import pathlib
import subprocess
import tempfile

FILES = pathlib.Path(__file__).resolve().parents[2] / "yocto/meta-picket/recipes-core/picket-appliance/files"
SERIAL = "10000000abcdef01"


def make_root(root: pathlib.Path, serial: bool) -> None:
    """What a slot holds, and a /sys in which the data partition and a serial number can be found."""
    for folder in ("etc/picket/conf.d", "var/lib", "data", "run", "sys/class/block/mmcblk0p5", "sys/class/net/eth0",
                   "sys/firmware/devicetree/base"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "etc/picket/picket.toml").write_text("# of the slot\n")
    (root / "etc/hostname").write_text("box\n")
    (root / "etc/machine-id").write_text("")
    (root / "sys/class/block/mmcblk0p5/uevent").write_text("DEVTYPE=partition\nPARTN=5\nPARTNAME=data\n")
    (root / "sys/class/net/eth0/addr_assign_type").write_text("0\n")
    (root / "sys/class/net/eth0/address").write_text("02:00:00:00:00:01\n")
    if serial:
        (root / "sys/firmware/devicetree/base/serial-number").write_bytes(SERIAL.encode() + b"\0")


def start(root: pathlib.Path, after: str) -> subprocess.CompletedProcess:
    """Runs picket-init on that root in a mount namespace of its own, then a few lines of shell that look at what came of it."""
    # overlay wants an upper layer on a file system that can be one: the test's folder may itself be an overlay's.
    lines = f'mount -t tmpfs tmpfs "{root}/run" && PICKET_INIT_ROOT="{root}" sh "{FILES}/picket-init" && cd "{root}" && {{ {after}; }}'
    return subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-c", lines], capture_output=True, text=True, timeout=60)


def identity(serial: str) -> str:
    """The rule of board/image and of picket-init: the same box is the same device under either image."""
    return hashlib.sha256(f"picket {serial}".encode()).hexdigest()[:32]


def check_init() -> list[str]:
    """Faults of picket-init; empty when it is good."""
    faults = []
    look = ('cat etc/machine-id data/identity/machine-id; ls etc/picket; echo more >etc/new; echo mine >etc/picket/picket.toml;'
            ' cat data/etc/picket/picket.toml; test -e data/var/lib && echo var; ls data; touch var/kept && ls data/var; cat run/picket-boot/trouble')
    with tempfile.TemporaryDirectory() as place:
        root = pathlib.Path(place) / "root"
        make_root(root, serial=True)
        done = start(root, look)
        said = done.stdout.split()
        wanted = identity(SERIAL)
        expected = [wanted, wanted, "mine", "var", "etc", "identity", "rauc", "update", "var", "kept", "lib"]
        if said != expected:
            faults.append(f"with everything there: said {said} instead of {expected}; {done.stderr.strip()}")
        if (root / "etc/new").exists() or (root / "etc/picket/picket.toml").read_text() != "# of the slot\n":
            faults.append("the root was written to")
    with tempfile.TemporaryDirectory() as place:
        root = pathlib.Path(place) / "root"
        make_root(root, serial=False)
        (root / "sys/class/block/mmcblk0p5/uevent").unlink()
        done = start(root, "cat etc/machine-id run/picket-boot/trouble")
        if done.stdout.split("\n")[:1] != [identity("02:00:00:00:00:01")] or "no data partition" not in done.stdout:
            faults.append(f"without a data partition and a serial number: said {done.stdout!r}; {done.stderr.strip()}")
    return faults

