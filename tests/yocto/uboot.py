#!/usr/bin/env python3
"""`make yocto-boot`: the boot script, made by its recipe's own task, in a real U-Boot (Debian's for QEMU) in an emulator.

The disk has the image's partitions; what stands for a kernel is none, so that every start fails: the script must spend three tries on slot A,
three on slot B, then give both three again. Debian's U-Boot keeps its environment in flash and not in a file, and its slots here are
FAT because it cannot read squashfs: order, tries, names of partitions and the kernel's command line are what is shown.
"""

import os
import pathlib
import re
import selectors
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[0] / "capture")]

import agreement  # noqa: E402
import metadata as layers  # noqa: E402
import packages  # noqa: E402

LIST = layers.ROOT / "board/packages/yocto-boot.txt"
MIB = 1 << 20
LIMIT_S = 300
SIZES = {"ESP": 16, "rootfs-a": 8, "rootfs-b": 8, "PICKET": 8, "data": 8}


def tools(folder: pathlib.Path) -> pathlib.Path:
    """The emulator and U-Boot, unpacked below `folder`."""
    root = folder / "root"
    if not (root / "usr/lib/u-boot/qemu_arm64/u-boot.bin").exists():
        packages.check_machine()
        shutil.rmtree(folder, ignore_errors=True)
        packages.unpack(packages.fetch(folder / "apt", LIST), root)
        shutil.rmtree(folder / "apt")
    return root


def script(machine: str, place: pathlib.Path) -> pathlib.Path:
    """boot.scr of a machine, by do_compile of picket-boot."""
    metadata = layers.Metadata()
    d = metadata.configuration(machine)
    folder = layers.LAYERS["picket-bsp"] / "recipes-bsp/picket-boot"
    d.setVar("UNPACKDIR", str(folder / "files"))
    d.setVar("B", str(place))
    d = metadata.parse(next(folder.glob("picket-boot_*.bb")), d)
    done = subprocess.run(["sh", "-eu", "-c", d.getVar("do_compile")], capture_output=True, text=True)
    if done.returncode:
        raise ValueError(f"picket-boot's do_compile: {done.stderr}")
    return place / "boot.scr"


def fat(size: int, path: pathlib.Path, files: dict[str, bytes]) -> bytes:
    """A FAT file system with these files."""
    with path.open("wb") as file:
        file.truncate(size * MIB)
    subprocess.run(["mkfs.vfat", str(path)], check=True, capture_output=True)
    for name, content in files.items():
        source = path.with_suffix(".file")
        source.write_bytes(content)
        if "/" in name:
            subprocess.run(["mmd", "-i", str(path), f"::{name.rsplit('/', 1)[0]}"], check=True)
        subprocess.run(["mcopy", "-i", str(path), str(source), f"::{name}"], check=True)
    return path.read_bytes()


def disk(place: pathlib.Path, boot: pathlib.Path) -> pathlib.Path:
    """A disk with the image's partitions in its order; their names come from board/common."""
    plan = agreement.layout()
    names = [plan["partitions"]["esp"], *(slot["partition"] for slot in plan["slots"]), plan["partitions"]["config"], plan["partitions"]["data"]]
    image = place / "disk"
    with image.open("wb") as file:
        file.truncate((sum(SIZES.values()) + 2) * MIB)
    table = "label: gpt\n" + "".join(f'size={SIZES[name]}MiB, name="{name}"\n' for name in names)
    subprocess.run(["sfdisk", "--quiet", str(image)], input=table, text=True, check=True)
    at = MIB
    with image.open("r+b") as file:
        for name in names:
            content = {"boot.scr": boot.read_bytes()} if name == names[0] else {"boot/Image": b"no kernel" * 100} if name.startswith("rootfs") else {}
            file.seek(at)
            file.write(fat(SIZES[name], place / "part", content))
            at += SIZES[name] * MIB
    return image


def serial(command: list[str], environment: dict[str, str], until: str, log: pathlib.Path) -> str:
    """What the emulator writes until a text was seen or the time is over; in `log` as well."""
    said, end = "", time.monotonic() + LIMIT_S
    with subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as guest:
        waiting = selectors.DefaultSelector()
        waiting.register(guest.stdout, selectors.EVENT_READ)
        while time.monotonic() < end and until not in said:
            if waiting.select(1):
                piece = os.read(guest.stdout.fileno(), 4096)
                if not piece:
                    break
                said += piece.decode("utf-8", "replace")
                log.write_text(said)
        guest.kill()
    return said


def main() -> int:
    cache = pathlib.Path(sys.argv[1]).absolute()
    try:
        root = tools(cache)
    except packages.Unavailable as reason:
        print(f"yocto-boot: SKIPPED: {reason}")
        return 0
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        place = pathlib.Path(name)
        image = disk(place, script("qemuarm64", place))
        environment = dict(os.environ, LD_LIBRARY_PATH=f"{root}/usr/lib/x86_64-linux-gnu:{root}/lib/x86_64-linux-gnu")
        flash = place / "flash"
        flash.write_bytes(b"\xff" * (64 * MIB))
        command = [f"{root}/usr/bin/qemu-system-aarch64", "-L", f"{root}/usr/share/qemu", "-M", "virt", "-cpu", "cortex-a57", "-m", "256", "-nographic",
                   "-monitor", "none", "-nic", "none", "-bios", f"{root}/usr/lib/u-boot/qemu_arm64/u-boot.bin",
                   "-drive", f"if=pflash,unit=1,format=raw,file={flash}",
                   "-drive", f"if=none,id=disk,format=raw,file={image}", "-device", "virtio-blk-device,drive=disk"]
        said = serial(command, environment, "both get three more", cache / "serial.log")
    starts = re.findall(r"picket: slot ([AB]) on (\S+ \d+:\d+)", said)
    wanted = [("A", "virtio 0:2")] * 3 + [("B", "virtio 0:3")] * 3
    # Numbers are U-Boot's, hexadecimal; 2 and 3 are the slots' places on this disk.
    good = starts == wanted and "both get three more" in said
    print(f"{'ok' if good else 'FAIL':4} yocto-boot: {len(starts)} starts: {' '.join(f'{slot}@{where}' for slot, where in starts)}, "
          f"{'then both slots get three tries again' if good else f'see {cache}/serial.log'}; {time.monotonic() - began:.0f} s")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
