"""What can be said of the image without a machine that boots it. The rest is run.py's."""
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import tomllib
import unittest
import zlib
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
BOARD = PROJECT / "board"
sys.path.insert(0, str(BOARD / "image"))
import disk  # noqa: E402
import kernel  # noqa: E402
import layout as layouts  # noqa: E402
import root as roots  # noqa: E402

sys.path.insert(0, str(HERE))
import run  # noqa: E402
import scenarios  # noqa: E402
import spool  # noqa: E402
import trials  # noqa: E402
import variants  # noqa: E402
from box import Failed  # noqa: E402

SCRIPTS = [*sorted((BOARD / "common/files/usr/lib/picket").iterdir()), BOARD / "image/initramfs/init", BOARD / "image/files/usr/bin/grub-editenv"]


def boards():
    return [path.parent.name for path in sorted(BOARD.glob("*/board.toml"))]


class Layouts(unittest.TestCase):
    def test_boards_that_are_made_here_have_all_that_it_takes(self):
        made = [name for name in boards() if tomllib.loads((BOARD / name / "board.toml").read_text())["image"]["make"]]
        self.assertIn("qemu-arm64", made)
        for name in made:
            layout = layouts.Layout(name)
            names = [partition for partition, _, _ in layout.partitions()]
            self.assertEqual(names, ["ESP", "rootfs-a", "rootfs-b", "PICKET", "data"])
            conf = layout.system_conf()
            self.assertIsNone(re.search(r"@[A-Z]", conf), conf)
            self.assertIn(f"compatible=picket-{name}\n", conf)

    def test_others_are_refused_with_a_reason(self):
        for name, part in (("rk3588", "yocto/kas/rk3588.yml"), ("jetson", "vendor's own system"), ("nothing", "there are")):
            with self.assertRaisesRegex(ValueError, part):
                layouts.Layout(name)

    def test_slots_are_named_the_same_everywhere(self):
        common = tomllib.loads((BOARD / "common/layout.toml").read_text())
        conf = (BOARD / "common/system.conf.in").read_text()
        slots = re.findall(r"by-partlabel/(\S+)\ntype=raw\nbootname=(\w)", conf)
        self.assertEqual(slots, [(slot["partition"], slot["bootname"]) for slot in common["slots"]])
        self.assertLess(common["sizes_mib"]["slot_budget"], common["sizes_mib"]["slot"])
        # A person puts a bundle there: a packed root, and a little around it.
        self.assertGreater(common["sizes_mib"]["config"], common["sizes_mib"]["slot_budget"])

    def test_the_environment_of_the_boot_loader_is_one_block(self):
        self.assertEqual(len(disk.grubenv()), 1024)

    def test_partitions_lie_where_the_table_says(self):
        if not (shutil.which("sfdisk") or Path("/usr/sbin/sfdisk").exists()):
            self.skipTest("sfdisk is missing: run 'board/setup.sh image'")
        with tempfile.TemporaryDirectory() as folder:
            image = Path(folder) / "disk.img"
            offsets = disk.gpt(layouts.Layout("qemu-arm64"), image)
            with open(image, "rb") as file:
                file.seek(1024)
                entries = [file.read(128) for _ in range(5)]
        self.assertEqual(list(offsets.values()), [struct.unpack_from("<Q", entry, 32)[0] * 512 for entry in entries])


class Lists(unittest.TestCase):
    def test_the_lock_names_what_the_list_names(self):
        locked = {line.split()[0] for line in (BOARD / "image/root.lock").read_text().splitlines() if line[0] != "#"}
        listed = set(roots.read_packages(BOARD / "packages/image-root.txt"))
        more = locked - listed
        self.assertFalse(listed - locked)
        self.assertTrue(all(name == "grub-efi-arm64-bin" or name.startswith("linux-image-") for name in more), more)

    def test_an_archive_for_the_kernel_is_the_same_each_time(self):
        with tempfile.TemporaryDirectory() as folder:
            tree = Path(folder)
            (tree / "b").mkdir()
            (tree / "b/file").write_text("x")
            (tree / "a").symlink_to("b")
            one, two = kernel.cpio(tree), kernel.cpio(tree)
        self.assertEqual(one, two)
        self.assertEqual(one[:6], b"070701")
        self.assertEqual(len(one) % 4, 0)


class Spoilt(unittest.TestCase):
    def test_every_spoilt_version_is_tried_and_can_be_made(self):
        spoilt = {thing for thing in vars(variants).values() if getattr(thing, "__code__", None) and thing.__code__.co_varnames[:thing.__code__.co_argcount] == ("tree",)}
        self.assertEqual(spoilt - {change for change, _, _ in trials.TRIALS}, {variants.crashing})
        for change in spoilt:
            with tempfile.TemporaryDirectory() as folder:
                tree = Path(folder)
                for source in ("common/files", "image/files"):
                    shutil.copytree(BOARD / source, tree, dirs_exist_ok=True)
                for name in ("usr/bin/picket", "boot/initrd.img"):
                    (tree / name).parent.mkdir(parents=True, exist_ok=True)
                    (tree / name).write_text("")
                (tree / "etc/systemd/system/multi-user.target.wants").mkdir(parents=True)
                before = {path: path.read_bytes() for path in tree.rglob("*") if path.is_file()}
                change(tree)
                after = {path: path.read_bytes() for path in tree.rglob("*") if path.is_file()}
                self.assertNotEqual(before, after, change.__name__)

    def test_missing_events_are_counted_and_reserved_numbers_are_not(self):
        told = [{"seq": seq, "boot": boot} for seq, boot in ((1, "a"), (2, "a"), (4097, "b"), (4099, "b"), (4099, "b"))]
        self.assertEqual(scenarios.missing(told), 1)
        self.assertEqual(scenarios.missing([]), 0)

    def test_what_the_disk_held_must_arrive_once_and_in_order(self):
        def body(seq, boot, state="raised", name=None):
            return {"seq": seq, "boot": boot, "id": name or f"i{seq}", "state": state}
        told = [body(1, "a"), body(2, "a"), body(2, "a"), body(4098, "b")]
        held = {(2, "i2", "raised"), (4098, "i4098", "raised")}
        self.assertEqual(scenarios.judge_cuts(told, held), "")
        self.assertIn("never arrived: [(3, 'i3', 'raised')]", scenarios.judge_cuts(told, held | {(3, "i3", "raised")}))
        self.assertIn("never arrived", scenarios.judge_cuts(told, {(2, "other", "raised")}))
        self.assertIn("not in order", scenarios.judge_cuts([told[1], told[0]], set()))

    def test_events_are_read_from_a_disk_as_picket_wrote_them(self):
        if not (shutil.which("mkfs.ext4") or Path("/usr/sbin/mkfs.ext4").exists()):
            self.skipTest("mkfs.ext4 is missing: run 'board/setup.sh image'")

        def record(kind, seq, body):
            fields = struct.pack("<BBBQQQq", kind, 1, 0, 0, seq, 5, 6) + b"".join(struct.pack("<H", len(text)) + text for text in (b"boot", b"incident", b"topic")) + body
            length = struct.pack("<I", len(fields))
            return length + struct.pack("<I", zlib.crc32(length + fields)) + fields
        first, second, third = (b'{"seq":%d,"id":"i%d","state":"raised","defect":"black"}' % (n, n) for n in (7, 8, 9))
        whole = [record(1, 7, first), record(2, 8, second), record(3, 7, first), record(1, 9, third), record(4, 0, struct.pack("<Q", 8))]
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            outbox = folder / "tree" / spool.FOLDER[1:]
            outbox.mkdir(parents=True)
            (outbox / "log-0000000000000001").write_bytes(spool.MAGIC + b"".join(whole) + record(1, 10, first)[:-1])
            disk, at = folder / "disk.img", 1 << 20
            subprocess.run([spool.program("mkfs.ext4"), "-q", "-d", str(folder / "tree"), str(folder / "part"), "4M"], check=True, capture_output=True)
            disk.write_bytes(bytes(at) + (folder / "part").read_bytes())
            found = spool.events(disk, at, folder)
            subprocess.run([spool.program("mkfs.ext4"), "-q", "-F", "-E", f"offset={at}", str(disk), "4M"], check=True, capture_output=True)
            with self.assertRaisesRegex(Failed, "has no /var/lib/picket/outbox"):
                spool.events(disk, at, folder)
        self.assertEqual([body["seq"] for body in found], [7, 9])

    def test_make_nightly_leaves_no_scenario_out(self):
        makefile = (PROJECT / "Makefile").read_text()
        nightly = re.search(r"^nightly:.*?ONLY=(\S+)$", makefile, re.M | re.S)[1].split(",")
        self.assertEqual(nightly, list(run.ALL))
        self.assertLessEqual(set(re.search(r"^ONLY \?= (\S+)$", makefile, re.M)[1].split(",")), set(run.ALL))


class Scripts(unittest.TestCase):
    def test_they_are_sound(self):
        for script in SCRIPTS:
            done = subprocess.run(["sh", "-n", str(script)], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, f"{script}: {done.stderr}")
        if shutil.which("shellcheck"):
            done = subprocess.run(["shellcheck", "-s", "sh", "-S", "warning", *map(str, SCRIPTS)], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stdout)

    def older(self, one, other):
        text = (BOARD / "common/files/usr/lib/picket/update").read_text()
        function = next(line for line in text.splitlines() if line.startswith("older()"))
        return subprocess.run(["sh", "-c", f'{function}\nolder "$1" "$2"', "sh", one, other], check=False).returncode == 0

    def test_versions_are_compared_part_by_part(self):
        for one, other in (("1.9", "1.10"), ("0.9.9", "1.0"), ("1.0", "1.0.1"), ("2", "10")):
            self.assertTrue(self.older(one, other), (one, other))
            self.assertFalse(self.older(other, one), (other, one))
        self.assertFalse(self.older("1.2.0", "1.2.0"))
        self.assertFalse(self.older("1.2", "1.2.0"))


if __name__ == "__main__":
    unittest.main()
