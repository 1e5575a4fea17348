"""From a root tree to a disk: squashfs, boot partition, configuration partition, data partition, GPT. No root, no mount, no loop device.

Everything has fixed ids and the time of SOURCE_DATE_EPOCH, so the same root and the same keys make the same bytes.
"""
import os
import shutil
import uuid
from pathlib import Path

import debs

HERE = Path(__file__).resolve().parent
MIB = 1 << 20
# Hardened where it costs nothing here: no merging of slabs, memory cleared when it is given out, no unsigned modules to be loaded by a name
# of the net, no kernel logs on a screen.
COMMAND_LINE = ("quiet loglevel=3 panic=10 oops=panic slab_nomerge init_on_alloc=1 page_alloc.shuffle=1 randomize_kstack_offset=on vsyscall=none "
                "lockdown=integrity module.sig_enforce=1 systemd.show_status=no systemd.gpt_auto=no")
GRUB_MODULES = ("part_gpt fat squash4 gzio xzio search search_fs_file linux fdt loadenv test echo sleep reboot normal configfile minicmd true regexp "
                "serial terminal efifwsetup").split()
GRUBENV_BYTES = 1024
# What is not root's, or is special: mksquashfs's pseudo files.
PSEUDO = """/dev/console c 600 0 0 5 1
/dev/null c 666 0 0 1 3
/etc/shadow m 600 0 42
/usr/lib/dbus-1.0/dbus-daemon-launch-helper m 4754 0 101
/tmp m 1777 0 0
/root m 700 0 0
/etc/picket m 755 0 0
"""


def stable_uuid(layout, what):
    """The same for every image of a board: nothing here is found by these ids, and two media in one box are not foreseen."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{layout.compatible}.{what}.picket.invalid"))


def squashfs(root, out, epoch, level=9):
    pseudo = out.with_name(f"{out.name}.pseudo")
    pseudo.write_text("".join(line + "\n" for line in PSEUDO.splitlines() if line.split()[1] == "c" or (root / line.split()[0][1:]).exists()))
    out.unlink(missing_ok=True)
    # GRUB 2.06 reads gzip and xz, not zstd. The times are given by options: with the variable set, mksquashfs refuses them.
    environment = {key: value for key, value in os.environ.items() if key != "SOURCE_DATE_EPOCH"}
    debs.run("mksquashfs", root, out, "-noappend", "-no-progress", "-quiet", "-all-root", "-no-xattrs", "-comp", "gzip", "-Xcompression-level", level, "-b", "256K",
             "-mkfs-time", epoch, "-all-time", epoch, "-pf", pseudo, env=environment)
    pseudo.unlink()


def fat(out, mib, label, tree, serial, epoch, bits):
    """A FAT file system with the files of `tree`."""
    out.unlink(missing_ok=True)
    with open(out, "wb") as file:
        file.truncate(mib * MIB)
    environment = dict(os.environ, SOURCE_DATE_EPOCH=str(epoch), TZ="UTC", MTOOLS_SKIP_CHECK="1")
    debs.run("mkfs.fat", "--invariant", "-F", bits, "-n", label, "-i", serial, out, env=environment)
    for path in sorted(tree.rglob("*")):
        os.utime(path, (epoch, epoch))
        name = f"::{path.relative_to(tree)}"
        words = ("mmd", "-i", out, name) if path.is_dir() else ("mcopy", "-m", "-i", out, path, name)
        debs.run(*words, env=environment)


def ext4(out, mib, label, ident, epoch):
    out.unlink(missing_ok=True)
    with open(out, "wb") as file:
        file.truncate(mib * MIB)
    environment = dict(os.environ, E2FSPROGS_FAKE_TIME=str(epoch))
    debs.run("mke2fs", "-q", "-t", "ext4", "-L", label, "-U", ident, "-E", f"hash_seed={ident},lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0",
             "-O", "metadata_csum,64bit,resize_inode", "-m", "1", out, env=environment)


def grubenv():
    """The environment of a freshly flashed box: slot A holds a system, B nothing."""
    text = "# GRUB Environment Block\nORDER=A B\nA_OK=1\nA_TRY=0\nB_OK=0\nB_TRY=0\nwhole=1\n"
    return text.encode().ljust(GRUBENV_BYTES, b"#")


def esp_tree(layout, grub_modules, work):
    tree = work / "esp"
    shutil.rmtree(tree, ignore_errors=True)
    (tree / "EFI/BOOT").mkdir(parents=True)
    (tree / "grub").mkdir()
    early = work / "early.cfg"
    # Not `configfile`: from a menu within a menu, a second Escape leads back and through the file again, which counts another start.
    early.write_text("search.file /grub/grub.cfg root\nset prefix=($root)/grub\nnormal $prefix/grub.cfg\n")
    debs.run("grub-mkimage", "-O", "arm64-efi", "-d", grub_modules, "-p", "/grub", "-c", early, "-o", tree / "EFI/BOOT/BOOTAA64.EFI", *GRUB_MODULES)
    line = f"{COMMAND_LINE} {layout.image['command_line']}"
    (tree / "grub/grub.cfg").write_text((HERE / "grub.cfg").read_text().replace("@COMMAND_LINE@", line))
    for name in ("grubenv", "grubenv.2"):
        (tree / "grub" / name).write_bytes(grubenv())
    return tree


def config_tree(work):
    tree = work / "card"
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir()
    text = (HERE / "card-readme.txt").read_text()
    (tree / "README.txt").write_text(text.replace("\n", "\r\n"))
    shutil.copyfile(HERE.parents[1] / "systemd/picket.toml", tree / "picket.toml.example")
    return tree


def put(disk, offset, source):
    """Copies `source` into the disk; holes stay holes."""
    with open(source, "rb") as file:
        disk.seek(offset)
        while block := file.read(MIB):
            if block.count(0) == len(block):
                disk.seek(len(block), os.SEEK_CUR)
            else:
                disk.write(block)


def gpt(layout, out):
    """The partition table; {name: offset in bytes}."""
    start = layout.image["first_partition_mib"]
    lines, offsets = ["label: gpt", f"label-id: {stable_uuid(layout, 'disk')}", f"first-lba: {min(2048, start * 2048)}"], {}
    for name, kind, mib in layout.partitions():
        offsets[name] = start * MIB
        lines.append(f"start={start * 2048}, size={mib * 2048}, type={kind}, name={name}, uuid={stable_uuid(layout, name)}")
        start += mib
    out.unlink(missing_ok=True)
    with open(out, "wb") as file:
        file.truncate((start + 1) * MIB)
    script = out.with_suffix(".sfdisk")
    script.write_text("\n".join(lines) + "\n")
    debs.run("sh", "-c", 'sfdisk -q --no-reread --no-tell-kernel "$1" <"$2"', "sfdisk", out, script)
    script.unlink()
    return offsets


def build(layout, root, grub_modules, out, work, epoch):
    """root.squashfs and disk.img in `out`."""
    names, sizes = layout.common["partitions"], layout.common["sizes_mib"]
    packed = out / "root.squashfs"
    squashfs(root, packed, epoch)
    budget = sizes["slot_budget"]
    if packed.stat().st_size > budget * MIB:
        raise debs.Failed(f"the root is {packed.stat().st_size / MIB:.1f} MiB; a slot may have {budget} (board/common/layout.toml)")
    pieces = {names["esp"]: work / "esp.img", names["config"]: work / "config.img", names["data"]: work / "data.img"}
    fat(pieces[names["esp"]], layout.image["esp_mib"], names["esp"], esp_tree(layout, grub_modules, work), "50434b31", epoch, 32)
    fat(pieces[names["config"]], sizes["config"], names["config"], config_tree(work), "50434b32", epoch, 16)
    ext4(pieces[names["data"]], sizes["data_at_first"], names["data"], stable_uuid(layout, "ext4"), epoch)
    pieces[layout.common["slots"][0]["partition"]] = packed
    disk = out / "disk.img"
    offsets = gpt(layout, disk)
    with open(disk, "r+b") as file:
        for name, piece in pieces.items():
            put(file, offsets[name], piece)
    return disk, packed
