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

CRASHING = "#!/bin/sh\necho 'this Picket is broken on purpose' >&2\nexit 1\n"


class Variants:
    """Makes them in `folder` from `tree`; `cert`, `key`: who the image trusts."""

    def __init__(self, board, tree, cert, key, folder):
        self.layout = layouts.Layout(board)
        self.tree, self.cert, self.key, self.folder = Path(tree), cert, key, Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)

    def root(self, version, crashing=False):
        """A root image of this version."""
        out = self.folder / f"{version}.squashfs"
        tree = self.folder / "tree"
        shutil.rmtree(tree, ignore_errors=True)
        # Hard links: only what differs costs.
        shutil.copytree(self.tree, tree, symlinks=True, copy_function=lambda a, b: Path(b).hardlink_to(a) if not Path(a).is_symlink() else shutil.copy2(a, b, follow_symlinks=False))
        self.replace(tree / "usr/lib/os-release", lambda text: "".join(
            f"{line.partition('=')[0]}={version}\n" if line.startswith(("IMAGE_VERSION=", "VERSION_ID=")) else line for line in text.splitlines(True)))
        if crashing:
            self.replace(tree / "usr/bin/picket", lambda _: CRASHING, binary=True)
        disk.squashfs(tree, out, 1_700_000_000, level=1)
        shutil.rmtree(tree)
        return out

    @staticmethod
    def replace(path, change, binary=False):
        text, mode = "" if binary else path.read_text(), path.stat().st_mode
        path.unlink()
        path.write_text(change(text))
        path.chmod(mode)

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
