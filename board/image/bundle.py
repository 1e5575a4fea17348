"""A signed update: RAUC's verity bundle around a root image."""
import os
import shutil

import debs


def make(root_image, compatible, version, cert, key, out, work):
    content = work / "bundle"
    shutil.rmtree(content, ignore_errors=True)
    content.mkdir()
    os.link(root_image, content / "rootfs.img")
    (content / "manifest.raucm").write_text(f"[update]\ncompatible={compatible}\nversion={version}\n\n[bundle]\nformat=verity\n\n[image.rootfs]\nfilename=rootfs.img\n")
    out.unlink(missing_ok=True)
    # The root is packed already; packing it again costs time and gains nothing.
    debs.run("rauc", "bundle", f"--cert={cert}", f"--key={key}", "--mksquashfs-args=-noI -noD -noF -noX -no-progress -quiet", content, out)
    shutil.rmtree(content)
    return out
