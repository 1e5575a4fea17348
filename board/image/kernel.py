"""The kernel, its chosen modules, and an initramfs of busybox that finds the slot and the data partition."""
import os
import shutil
import stat
from pathlib import Path

import debs

HERE = Path(__file__).resolve().parent
# What every board needs, wherever its root lies. crc32c_generic is a soft dependency of ext4, which modprobe does not name.
INITRD = ["crc32c_generic", "libcrc32c", "ext4", "squashfs", "overlay"]
SYSTEM = ["vfat", "nls_cp437", "nls_ascii", "nls_utf8", "nls_iso8859-1", "autofs4", "loop", "dm-mod", "dm-verity", "sha256_generic", "sha2-ce", "ipv6", "af_packet",
          "softdog", "efivarfs"]
APPLETS = "sh mount umount modprobe sleep cat mkdir mv switch_root grep sed chroot cp sync reboot tr cut sha256sum".split()


def version(unpacked):
    found = sorted(p.name for p in (unpacked / "usr/lib/modules").iterdir())
    if len(found) != 1:
        raise debs.Failed(f"one kernel was expected, there are {found}")
    return found[0]


def module_files(unpacked, release, names):
    """The modules' files and those they depend on; a name that the kernel has neither as a module nor built in is an error."""
    folder = unpacked / "usr/lib/modules" / release
    built_in = {Path(line).stem.replace("-", "_") for line in (folder / "modules.builtin").read_text().splitlines()}
    needs = {}
    for line in (folder / "modules.dep").read_text().splitlines():
        path, _, rest = line.partition(":")
        needs[Path(path).stem.replace("-", "_")] = [path, *rest.split()]
    files = set()
    for name in names:
        plain = name.replace("-", "_")
        if plain in needs:
            files.update(needs[plain])
        elif plain not in built_in:
            raise debs.Failed(f"kernel {release} has no module {name}")
    return sorted(files)


def add_modules(unpacked, release, names, root):
    """Copies them and makes the index of what was copied."""
    source, target = (base / "usr/lib/modules" / release for base in (unpacked, root))
    for name in module_files(unpacked, release, names):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, target / name)
    for name in ("modules.builtin", "modules.builtin.modinfo", "modules.order"):
        shutil.copyfile(source / name, target / name)
    debs.run("depmod", "-b", root, release)


def initramfs(unpacked, release, layout, busybox, work):
    """Its bytes, packed."""
    root = work / "initrd"
    shutil.rmtree(root, ignore_errors=True)
    for name in ("usr/bin", "usr/sbin", "usr/lib", "dev", "proc", "sys", "run", "sysroot"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in ("bin", "sbin", "lib"):
        (root / name).symlink_to(f"usr/{name}")
    add_modules(unpacked, release, INITRD + layout.image["modules_initrd"], root)
    shutil.copyfile(busybox, root / "usr/bin/busybox")
    (root / "usr/bin/busybox").chmod(0o755)
    for name in APPLETS:
        (root / "usr/bin" / name).symlink_to("busybox")
    # The kernel calls this path itself, for what a file system asks for.
    (root / "usr/sbin/modprobe").symlink_to("../bin/busybox")
    text = (HERE / "initramfs/init").read_text()
    (root / "init").write_text(text.replace("@MODULES@", " ".join([*layout.image["modules_initrd"], *INITRD])))
    (root / "init").chmod(0o755)
    archive = work / "initrd.cpio"
    archive.write_bytes(cpio(root))
    debs.run("zstd", "-q", "-f", "-19", "-o", work / "initrd.img", archive)
    return work / "initrd.img"


def cpio(root):
    """The "newc" archive of `root`: sorted, all of root's, no times."""
    parts = []

    def entry(name, mode, data=b"", device=(0, 0)):
        fields = (len(parts) + 1, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name.encode()) + 1, 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        parts.append(b"".join(part + b"\0" * (-len(part) % 4) for part in (head, data)))

    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            entry(name, stat.S_IFLNK | 0o777, os.readlink(path).encode())
        elif path.is_dir():
            entry(name, stat.S_IFDIR | 0o755)
        else:
            entry(name, stat.S_IFREG | stat.S_IMODE(path.stat().st_mode), path.read_bytes())
    entry("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    entry("TRAILER!!!", 0)
    return b"".join(parts)
