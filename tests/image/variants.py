"""Bundles for the tests, made from the tree that `make image` left: packed fast, with another version, or spoilt."""
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "board/image"))
import bundle  # noqa: E402
import disk  # noqa: E402
import keys  # noqa: E402
import layout as layouts  # noqa: E402

UNITS = "usr/lib/systemd/system"
CRASHING = "#!/bin/sh\necho 'this Picket is broken on purpose' >&2\nexit 1\n"
# Stopped once it has said that it is ready; systemd's times for it are shorter than the image's, so that the test is.
HANGING = "[Service]\nExecStartPost=+/bin/sh -c 'sleep 2; kill -STOP $MAINPID'\nWatchdogSec=10\nTimeoutStopSec=2\n"
# Nobody listens there.
UNREACHED = "[Service]\nEnvironment=PICKET_BROKER_URL=mqtt://10.0.2.2:1\n"
# The only processor never comes back to systemd.
STUCK = ("[Service]\nCPUSchedulingPolicy=fifo\nCPUSchedulingPriority=99\n"
         "ExecStart=/bin/sh -c 'sleep 5; echo test: stuck >/dev/console; echo -1 >/proc/sys/kernel/sched_rt_runtime_us; while :; do :; done'\n")


def replace(path, change, binary=False):
    text, mode = "" if binary else path.read_text(), path.stat().st_mode
    # The file is also the build's own: never written in place.
    path.unlink()
    path.write_text(change(text))
    path.chmod(mode)


def crashing(tree):
    """A daemon that ends at once."""
    replace(tree / "usr/bin/picket", lambda _: CRASHING, binary=True)


def hanging(tree):
    """A daemon that is there and does nothing."""
    (tree / UNITS / "picket.service.d/test.conf").write_text(HANGING)


def unreached(tree):
    """A daemon that works and does not reach its broker; its trial is shorter than the image's."""
    (tree / UNITS / "picket.service.d/test.conf").write_text(UNREACHED)
    limit = "TRIAL_MAX_S=1500\n"
    script = tree / "usr/lib/picket/confirm"
    assert limit in script.read_text()
    replace(script, lambda text: text.replace(limit, "TRIAL_MAX_S=100\n"))


def refusing(tree):
    """A daemon that does not take the box's configuration any more."""
    (tree / "usr/lib/picket/picket.toml").write_text("[broker]\nno_such_key = 1\n")


def lifeless(tree):
    """A kernel that finds no root and panics."""
    replace(tree / "boot/initrd.img", lambda _: "no archive\n", binary=True)


def stuck(tree):
    """A machine that hangs while it looks well; its watchdog is quicker than the image's."""
    limit, conf = "RuntimeWatchdogSec=15s\n", tree / "etc/systemd/system.conf.d/picket.conf"
    assert limit in conf.read_text()
    replace(conf, lambda text: text.replace(limit, "RuntimeWatchdogSec=5s\n"))
    (tree / UNITS / "test-stuck.service").write_text(STUCK)
    (tree / "etc/systemd/system/multi-user.target.wants/test-stuck.service").symlink_to(f"/{UNITS}/test-stuck.service")


class Variants:
    """Makes them in `folder` from `tree`; `cert`, `key`: who the image trusts."""

    def __init__(self, board, tree, cert, key, folder):
        self.layout = layouts.Layout(board)
        self.tree, self.cert, self.key, self.folder = Path(tree), cert, key, Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)

    def root(self, version, change=None):
        """A root image of this version; `change` spoils its tree."""
        out = self.folder / f"{version}-{change.__name__ if change else 'good'}.squashfs"
        tree = self.folder / "tree"
        shutil.rmtree(tree, ignore_errors=True)
        # Hard links: only what differs costs.
        shutil.copytree(self.tree, tree, symlinks=True, copy_function=lambda a, b: Path(b).hardlink_to(a) if not Path(a).is_symlink() else shutil.copy2(a, b, follow_symlinks=False))
        replace(tree / "usr/lib/os-release", lambda text: "".join(
            f"{line.partition('=')[0]}={version}\n" if line.startswith(("IMAGE_VERSION=", "VERSION_ID=")) else line for line in text.splitlines(True)))
        if change:
            change(tree)
        disk.squashfs(tree, out, 1_700_000_000, level=1)
        shutil.rmtree(tree)
        return out

    def kernel_alone(self):
        """A root image with a kernel that finds no root."""
        out, tree = self.folder / "kernel.squashfs", self.folder / "kernel"
        shutil.rmtree(tree, ignore_errors=True)
        (tree / "boot").mkdir(parents=True)
        shutil.copyfile(self.tree / "boot/vmlinuz", tree / "boot/vmlinuz")
        (tree / "boot/initrd.img").write_text("")
        lifeless(tree)
        disk.squashfs(tree, out, 1_700_000_000, level=1)
        return out

    def bundle(self, name, root, version, compatible=None, signer=None):
        cert, key = signer or (self.cert, self.key)
        return bundle.make(root, compatible or self.layout.compatible, version, cert, key, self.folder / f"{name}.raucb", self.folder)

    def stranger(self):
        """A pair that the box does not trust."""
        return keys.make(self.folder, "stranger")

    def damaged(self, good, name):
        """One byte in the middle of the payload is another."""
        out = self.folder / f"{name}.raucb"
        shutil.copyfile(good, out)
        with open(out, "r+b") as file:
            file.seek(out.stat().st_size // 2)
            byte = file.read(1)
            file.seek(-1, 1)
            file.write(bytes([byte[0] ^ 0x55]))
        return out
