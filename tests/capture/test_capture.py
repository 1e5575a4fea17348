"""The test bed's own parts, without a machine: archives, module order, and what counts as shown."""
import json
import tempfile
import unittest
from pathlib import Path

import checks
import initrd
import pictures
import seen
import tones


def module(*depends):
    return b"\x7fELF\0license=GPL\0depends=" + ",".join(depends).encode() + b"\0"


class Boot(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = Path(self.folder.name)

    def test_modules_come_after_what_they_need(self):
        for name, needs in (("vivid", ("videodev", "v4l2-tpg")), ("videodev", ("mc",)), ("v4l2-tpg", ()), ("mc", ())):
            (self.path / f"{name}.ko").write_bytes(module(*needs))
        modules = initrd.Modules(self.path)
        self.assertEqual(modules.order(["vivid", "unix"]), ["mc", "videodev", "v4l2_tpg", "vivid"])

    def test_archive_has_what_the_folder_has(self):
        (self.path / "bin").mkdir()
        (self.path / "bin/tool").write_bytes(b"12345")
        (self.path / "sh").symlink_to("bin/tool")
        data = initrd.build(self.path)
        self.assertEqual(len(data) % 4, 0)
        names, at = [], 0
        while at < len(data):
            self.assertEqual(data[at:at + 6], b"070701")
            size, length = (int(data[at + 6 + 8 * n:at + 14 + 8 * n], 16) for n in (6, 11))
            names.append(data[at + 110:at + 109 + length].decode())
            at += (110 + length + 3) // 4 * 4
            at += (size + 3) // 4 * 4
        self.assertEqual(names, ["bin", "bin/tool", "sh", "dev/console", "TRAILER!!!"])

    def test_only_a_kernel_is_a_kernel(self):
        (self.path / "vmlinuz").write_bytes(bytes(4096))
        self.assertRaises(ValueError, initrd.kernel, self.path / "vmlinuz")


class Judging(Boot):
    def leave(self, **files):
        for name, text in files.items():
            (self.path / name.replace("_", ".")).write_text(text)
        return seen.Seen(self.path)

    @staticmethod
    def event(state, defect, at_s):
        return f"picket/1/pk-1/src/cam/event {json.dumps({'state': state, 'defect': defect, 'mono_ms': int(at_s * 1000), 'text': defect})}\n"

    def test_delays_run_from_the_mark_to_the_next_such_event(self):
        left = self.leave(marks="10.00 raised black\n20.00 raised black\n", heard=self.event("raised", "black", 9) + self.event("raised", "black", 11.5)
                          + self.event("raised", "freeze", 20.1) + self.event("raised", "black", 21.25))
        self.assertEqual([round(d, 2) for d in left.delays("raised", "black")], [1.5, 1.25])
        self.assertRaises(seen.Wrong, left.delays, "cleared", "black")
        self.assertRaises(seen.Wrong, left.only, "black")

    def test_a_script_that_failed_is_no_pass(self):
        self.leave(log="FAIL no /dev/video0\n")
        self.assertEqual(checks.judge("signal", self.path, 1), ("FAILED", "no /dev/video0"))
        self.leave(log="")
        self.assertEqual(checks.judge("signal", self.path, 143)[0], "FAILED")
        # A script that came to its end, and nothing was told.
        self.assertEqual(checks.judge("signal", self.path, 0)[0], "FAILED")
        self.assertEqual(checks.judge("cost", self.path, 0)[0], "FAILED")

    def test_a_daemon_that_did_not_end_well_is_told(self):
        self.assertRaises(seen.Wrong, self.leave(picket_exit="70\n").ended_well)
        self.leave(picket_exit="0\n").ended_well()

    def test_a_tone_has_its_pitch(self):
        tones.write(self.path / "tone.wav", 1000)
        self.assertAlmostEqual(checks.pitch((self.path / "tone.wav").read_bytes()[:400_000]), 1000, delta=20)

    def test_bars_are_read_in_their_order(self):
        colours = [(16 * n, 255 - 16 * n, n) for n in range(pictures.BARS)]
        row = b"".join(bytes(colours[x * pictures.BARS // pictures.WIDTH]) for x in range(pictures.WIDTH))
        self.assertEqual(pictures.bars(row * pictures.HEIGHT), colours)
        self.assertEqual(pictures.farthest(colours, [*colours[:3], (48, 200, 3), *colours[4:]]), (7, "green"))


class Scenarios(unittest.TestCase):
    def test_each_has_a_script_and_a_check(self):
        scripts = {file.stem for file in (Path(checks.__file__).parent / "guest/scenarios").glob("*.sh")}
        self.assertEqual(scripts, set(checks.SCENARIOS))


if __name__ == "__main__":
    unittest.main()
