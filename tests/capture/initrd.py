"""What QEMU boots: Debian's kernel as an ELF file, and an initramfs of busybox, kernel modules and /init."""
import lzma
import re
import struct
import stat
from pathlib import Path

BOOT_FLAG, SETUP_SECTORS, PAYLOAD = 0x1FE, 0x1F1, 0x248  # Linux/x86 boot protocol
XZ, ELF = b"\xfd7zXZ\x00", b"\x7fELF"


def kernel(vmlinuz):
    """The ELF kernel inside a bzImage: started through PVH it spares an emulated processor the work of unpacking."""
    image = vmlinuz.read_bytes()
    offset, length = struct.unpack_from("<II", image, PAYLOAD)
    begin = (image[SETUP_SECTORS] + 1) * 512 + offset
    payload = image[begin:begin + length]
    if image[BOOT_FLAG:BOOT_FLAG + 2] != b"\x55\xaa" or not payload.startswith(XZ):
        raise ValueError(f"{vmlinuz} is no xz-packed bzImage")
    # The packer appends the unpacked size, which is no part of the stream.
    elf = lzma.LZMADecompressor().decompress(payload)
    if not elf.startswith(ELF):
        raise ValueError(f"{vmlinuz} holds no ELF kernel")
    return elf


class Modules:
    """Kernel modules of one folder, with what they say they depend on."""

    def __init__(self, *folders):
        self.files = {f.stem.replace("-", "_"): f for folder in folders for f in sorted(Path(folder).rglob("*.ko"))}

    def depends(self, name):
        told = re.search(rb"\0depends=([^\0]*)\0", self.files[name].read_bytes())
        return [d for d in told[1].decode().replace("-", "_").split(",") if d] if told else []

    def order(self, names):
        """`names` and all they need, each after what it depends on; what is built into the kernel has no file."""
        done = []

        def add(name):
            if name in self.files and name not in done:
                for needed in self.depends(name):
                    add(needed)
                done.append(name)

        for name in names:
            add(name.replace("-", "_"))
        return done


class Archive:
    """An initramfs in the "newc" form of cpio."""

    def __init__(self):
        self.parts, self.count = [], 0

    def entry(self, name, mode, data=b"", device=(0, 0)):
        self.count += 1
        fields = (self.count, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0)
        head = b"070701" + b"".join(b"%08X" % f for f in fields) + name.encode() + b"\0"
        for part in (head, data):
            self.parts.append(part + b"\0" * (-len(part) % 4))

    def folder(self, name):
        self.entry(name, stat.S_IFDIR | 0o755)

    def file(self, name, data, mode=0o644):
        self.entry(name, stat.S_IFREG | mode, data)

    def link(self, name, target):
        self.entry(name, stat.S_IFLNK | 0o777, target.encode())

    def device(self, name, major, minor):
        self.entry(name, stat.S_IFCHR | 0o600, device=(major, minor))

    def bytes(self):
        self.entry("TRAILER!!!", 0)
        return b"".join(self.parts)


def tree(archive, folder):
    """Adds all that is under `folder`, in the order of names."""
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            archive.link(name, str(path.readlink()))
        elif path.is_dir():
            archive.folder(name)
        else:
            archive.file(name, path.read_bytes(), stat.S_IMODE(path.stat().st_mode))


def build(root):
    """The archive of the guest's root folder. Archives may follow each other in one file; later files stand."""
    archive = Archive()
    tree(archive, root)
    archive.device("dev/console", 5, 1)
    return archive.bytes()
