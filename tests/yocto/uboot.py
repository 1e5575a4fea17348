#!/usr/bin/env python3
"""`make yocto-boot`: the boot script, made by its recipe's own task, in a real U-Boot with the layer's options, in an emulator.

U-Boot is Debian's source, configured for QEMU and then by the layer's picket.cfg and picket-virtio.cfg. The disk has the image's partitions, its
slots are squashfs; what stands for a kernel is none, so every start fails: the script must spend three tries on slot A, three on slot B, then
give both three again, and the tries must stand in the file where fw_env.config says RAUC finds them.
"""

import hashlib
import os
import pathlib
import re
import selectors
import shutil
import subprocess
import sys
import tempfile
import time
import zlib

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[0] / "capture"), str(HERE.parents[1] / "board/image")]

import agreement  # noqa: E402
import debs  # noqa: E402
import metadata as layers  # noqa: E402
import packages  # noqa: E402

LIST = layers.ROOT / "board/packages/yocto-boot.txt"
MIB = 1 << 20
LIMIT_S = 300
SIZES = {"ESP": 16, "rootfs-a": 8, "rootfs-b": 8, "PICKET": 8, "data": 8}


def tools(folder: pathlib.Path) -> pathlib.Path:
    """The emulator, unpacked below `folder`."""
    root = folder / "root"
    if not (root / "usr/bin/qemu-system-aarch64").exists():
        packages.check_machine()
        shutil.rmtree(folder / "apt", ignore_errors=True)
        packages.unpack(packages.fetch(folder / "apt", LIST), root)
        shutil.rmtree(folder / "apt")
    return root


def u_boot(folder: pathlib.Path) -> pathlib.Path:
    """u-boot.bin with the layer's options, built once for each state of them."""
    fragments = layers.LAYERS["picket-bsp"] / "recipes-bsp/u-boot/files"
    options = "".join((fragments / name).read_text() for name in ("picket.cfg", "picket-virtio.cfg"))
    ready = folder / f"u-boot-{hashlib.sha256(options.encode()).hexdigest()[:12]}.bin"
    if ready.exists():
        return ready
    work = folder / "u-boot"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    apt = debs.Apt(folder / "apt-source", "arm64")
    apt.update()
    apt.source("u-boot", work)
    source, make = work / "u-boot", ("make", "-s", f"-j{os.cpu_count()}", "CROSS_COMPILE=aarch64-linux-gnu-")
    debs.run(*make, "qemu_arm64_defconfig", cwd=source)
    # A tool for this machine that would want one more library.
    options += "# CONFIG_TOOLS_MKEFICAPSULE is not set\n"
    (work / "options.cfg").write_text(options)
    debs.run("scripts/kconfig/merge_config.sh", "-m", ".config", "../options.cfg", cwd=source)
    debs.run(*make, "olddefconfig", cwd=source)
    have = (source / ".config").read_text().splitlines()
    # A later fragment wins over an earlier one.
    wanted = {line.split("=")[0]: line for line in options.splitlines() if line.startswith("CONFIG_")}
    lost = [line for line in wanted.values() if line not in have]
    if lost:
        raise ValueError(f"U-Boot does not take {lost}")
    debs.run(*make, "u-boot.bin", cwd=source, timeout=1800)
    shutil.copy(source / "u-boot.bin", ready)
    shutil.rmtree(work)
    return ready


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


def squashfs(place: pathlib.Path) -> bytes:
    """A slot whose kernel is none."""
    folder = place / "slot"
    (folder / "boot").mkdir(parents=True, exist_ok=True)
    (folder / "boot/Image").write_bytes(b"no kernel" * 100)
    image = place / "slot.squashfs"
    subprocess.run(["mksquashfs", str(folder), str(image), "-noappend", "-quiet", "-no-progress"], check=True, capture_output=True)
    return image.read_bytes()


def environment_of(image: pathlib.Path, place: pathlib.Path) -> dict[str, str]:
    """U-Boot's environment out of the file and of the size that fw_env.config names."""
    conf = (layers.LAYERS["picket-bsp"] / "recipes-bsp/picket-boot/files/fw_env.config").read_text().splitlines()[-1].split()
    name, size = pathlib.Path(conf[0]).name, int(conf[2], 16)
    target = place / "env"
    subprocess.run(["mcopy", "-n", "-i", f"{image}@@{MIB}", f"::{name}", str(target)], check=True)
    blob = target.read_bytes()
    if len(blob) != size or zlib.crc32(blob[4:]) != int.from_bytes(blob[:4], "little"):
        raise ValueError(f"{name} has {len(blob)} bytes or a wrong checksum; fw_env.config says {size}")
    return dict(entry.decode().split("=", 1) for entry in blob[4:].split(b"\0\0")[0].split(b"\0"))


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
            file.seek(at)
            if name.startswith("rootfs"):
                file.write(squashfs(place))
            else:
                file.write(fat(SIZES[name], place / "part", {"boot.scr": boot.read_bytes()} if name == names[0] else {}))
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
    cache.mkdir(parents=True, exist_ok=True)
    try:
        root, firmware = tools(cache), u_boot(cache)
    except (packages.Unavailable, debs.Failed) as reason:
        print(f"yocto-boot: SKIPPED: {reason}")
        return 0
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        place = pathlib.Path(name)
        image = disk(place, script("qemuarm64", place))
        environment = dict(os.environ, LD_LIBRARY_PATH=f"{root}/usr/lib/x86_64-linux-gnu:{root}/lib/x86_64-linux-gnu")
        command = [f"{root}/usr/bin/qemu-system-aarch64", "-L", f"{root}/usr/share/qemu", "-M", "virt", "-cpu", "cortex-a57", "-m", "256", "-nographic",
                   "-monitor", "none", "-nic", "none", "-bios", str(firmware),
                   "-drive", f"if=none,id=disk,format=raw,file={image}", "-device", "virtio-blk-device,drive=disk"]
        # The next start of slot A comes after its tries were saved.
        said = serial(command, environment, "both get three more", cache / "serial.log")
        kept = environment_of(image, place)
    starts = re.findall(r"picket: slot ([AB]) on (\S+ \d+):0x(\d+)", said)
    faults = []
    # 2 and 3 are the slots' places on this disk; the script knows their names only.
    if starts != [("A", "virtio 0", "2")] * 3 + [("B", "virtio 0", "3")] * 3:
        faults.append(f"starts were {starts}")
    if "both get three more" not in said or said.count("900 bytes read") != 6:
        faults.append("slots were not read, or the tries did not come to an end")
    if [kept.get(f"BOOT_{slot}_LEFT") for slot in "AB"] not in (["0", "0"], ["3", "3"]) or kept.get("BOOT_ORDER") != "A B":
        faults.append(f"the environment's file says {({key: value for key, value in kept.items() if key.startswith('BOOT_')})}")
    print(f"{'FAIL' if faults else 'ok':4} yocto-boot: {len(starts)} starts ({' '.join(slot for slot, _, _ in starts)}), kernel out of a squashfs found by name, "
          f"tries kept in {len(kept)} variables on the boot partition; {time.monotonic() - began:.0f} s")
    for fault in faults:
        print(f"       {fault} ({cache}/serial.log)")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
