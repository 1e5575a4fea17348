#!/usr/bin/env python3
"""Makes the appliance's image for a board from Debian's packages and the cross-built daemon.

    board/image/build.py --board qemu-arm64 --picket target/aarch64-unknown-linux-gnu/release/picket --out target/image
"""
import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import bundle  # noqa: E402
import debs  # noqa: E402
import disk  # noqa: E402
import ffmpeg  # noqa: E402
import kernel  # noqa: E402
import keys  # noqa: E402
import layout as layouts  # noqa: E402
import root as roots  # noqa: E402

LIST = HERE.parent / "packages/image-root.txt"
LOCK = HERE / "root.lock"
GRUB = "grub-efi-arm64-bin"
TOOLS = "apt-get dpkg-deb dpkg-source tar zstd mksquashfs mke2fs mkfs.fat mcopy mmd sfdisk grub-mkimage depmod openssl rauc make aarch64-linux-gnu-gcc".split()


def kernel_package(apt, meta):
    told = debs.run("apt-cache", "depends", meta, env=apt.environment)
    return next(line.split()[-1] for line in told.splitlines() if "linux-image-" in line and "Depends" in line)


def wanted_packages(apt, layout):
    names = roots.read_packages(LIST)
    return names, [*names, GRUB, kernel_package(apt, layout.image["kernel"])]


def write_lock(layout, apt):
    debs.write_lock(LOCK, apt.candidates(wanted_packages(apt, layout)[1]))


def resolve(apt, layout, newer):
    """{name: (version, sha256)} by the lock, and what differs from it."""
    names, all_names = wanted_packages(apt, layout)
    offered = apt.candidates(all_names)
    locked = debs.read_lock(LOCK)
    if set(locked) != set(offered) and not newer:
        odd = ", ".join(sorted(set(locked) ^ set(offered)))
        raise debs.Failed(f"the lock and the package list (or Debian's kernel) differ: {odd}\n  'make image-lock' renews it, or build with NEWER=1")
    packages, changed = debs.settled({name: locked.get(name, ("none", "")) for name in offered}, offered, newer)
    return names, packages, changed


def source_epoch(project):
    """Of the last commit, as reproducible builds want it."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given:
        return int(given)
    return int(debs.run("git", "-C", project, "log", "-1", "--format=%ct").strip())


def check_tools():
    missing = [tool for tool in TOOLS if not shutil.which(tool) and not Path("/usr/sbin", tool).exists()]
    if missing:
        raise debs.Failed(f"programs are missing: {', '.join(missing)}: run 'board/setup.sh image cross'")


def make_root(options, layout, apt, cert, work, newer):
    """The tree, and what it is made of."""
    names, packages, changed = resolve(apt, layout, newer)
    small, about = ffmpeg.get(options.cache, apt)
    files = {file.name.split("_")[0]: file for file in apt.fetch(packages)}
    kernel_name = next(name for name in packages if name.startswith("linux-image-"))
    unpacked = work / "kernel"
    shutil.rmtree(unpacked, ignore_errors=True)
    debs.unpack([files[kernel_name]], unpacked)
    grub = work / "grub"
    shutil.rmtree(grub, ignore_errors=True)
    debs.unpack([files[GRUB]], grub)
    tree = roots.assemble(layout, [files[name] for name in sorted(names)], names, small, options.picket, options.version, cert, options.dev, work)
    release = kernel.version(unpacked)
    debs.run("depmod", "-b", unpacked, release)
    kernel.add_modules(unpacked, release, kernel.INITRD + kernel.SYSTEM + layout.image["modules_initrd"] + layout.image["modules"], tree)
    (tree / "boot").mkdir(exist_ok=True)
    shutil.copyfile(unpacked / f"boot/vmlinuz-{release}", tree / "boot/vmlinuz")
    initrd = kernel.initramfs(unpacked, release, layout, tree / "usr/bin/busybox", work)
    shutil.copyfile(initrd, tree / "boot/initrd.img")
    made_of = {"packages": {name: version for name, (version, _) in sorted(packages.items())}, "kernel": release, "ffmpeg": about,
               "not_as_locked": {name: list(pair) for name, pair in sorted(changed.items())}}
    return tree, grub / "usr/lib/grub/arm64-efi", made_of


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def pack(image, name):
    """Compressed beside it, with a checksum that `sha256sum -c` reads."""
    packed = image.with_name(f"{name}.img.zst")
    debs.run("zstd", "-q", "-f", "-12", "-T0", "-o", packed, image)
    packed.with_name(packed.name + ".sha256").write_text(f"{sha256(packed)}  {packed.name}\n")
    return packed


def build(options):
    began = time.monotonic()
    check_tools()
    layout = layouts.Layout(options.board)
    options.cache.mkdir(parents=True, exist_ok=True)
    apt = debs.Apt(options.cache / "apt", layout.image["architecture"])
    apt.update()
    if options.lock:
        write_lock(layout, apt)
        return
    epoch = source_epoch(HERE.parents[1])
    name = f"picket-{options.board}{'-dev' if options.dev else ''}-{options.version}"
    out, work = options.out / name, options.cache / "work"
    out.mkdir(parents=True, exist_ok=True)
    work.mkdir(exist_ok=True)
    cert, key, development = keys.get(options.cache / "keys")
    tree, grub, made_of = make_root(options, layout, apt, cert, work, options.newer)
    image, packed = disk.build(layout, tree, grub, out, work, epoch)
    update = bundle.make(packed, layout.compatible, options.version, cert, key, out / f"{name}.raucb", work)
    shipped = pack(image, name)
    facts = {"board": options.board, "compatible": layout.compatible, "version": options.version, "root_mib": round(packed.stat().st_size / disk.MIB, 1),
             "image_sha256": sha256(image), "root_sha256": sha256(packed), "development_key": development, **made_of}
    (out / "about.json").write_text(json.dumps(facts, indent=1) + "\n")
    print(f"{image}\n{shipped}\n{update}\nroot {facts['root_mib']} MiB of {layout.common['sizes_mib']['slot_budget']}; image sha256 {facts['image_sha256'][:16]}..; "
          f"{time.monotonic() - began:.0f} s")
    if development:
        print("bundles are signed with a key for development: set PICKET_SIGN_CERT and PICKET_SIGN_KEY for boxes that leave the house")
    for package, (was, now) in sorted(facts["not_as_locked"].items()):
        print(f"not as locked: {package} {was} -> {now}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--board", required=True)
    parser.add_argument("--picket", type=Path, help="the aarch64 program")
    parser.add_argument("--out", type=Path, default=Path("target/image"))
    parser.add_argument("--cache", type=Path, default=Path("target/image/cache"))
    parser.add_argument("--version", default=None, help="of the image; default: Picket's own")
    parser.add_argument("--dev", action="store_true", help="a root shell on the console: for development, never for boxes that leave the house")
    parser.add_argument("--newer", action="store_true", help="take what Debian has now where the lock is older")
    parser.add_argument("--lock", action="store_true", help="only renew the lock of packages")
    options = parser.parse_args()
    options.out, options.cache = options.out.resolve(), options.cache.resolve()
    if options.version is None:
        manifest = (HERE.parents[1] / "Cargo.toml").read_text()
        options.version = next(line.split('"')[1] for line in manifest.splitlines() if line.startswith("version = "))
    if not options.lock and (options.picket is None or not options.picket.is_file()):
        sys.exit("image: --picket must name the aarch64 program: run 'make cross'")
    try:
        build(options)
    except (debs.Failed, ValueError) as error:
        print(f"image: {error}", file=sys.stderr)
        sys.exit(3)
    except subprocess.CalledProcessError as error:
        print(f"image: {error}", file=sys.stderr)
        sys.exit(70)


if __name__ == "__main__":
    main()
