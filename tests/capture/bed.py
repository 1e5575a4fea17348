"""The test bed on disk: QEMU, a kernel, an initramfs and the guest's programs, built once for each recipe.

The guest is x86-64: the program of `make build` runs in it as it is, and under KVM at its own speed. An arm64 guest boots sooner in an
emulator, but wants the cross build first, of some minutes; what is special to arm64 has its own tests.
"""
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import initrd
import packages

HERE = Path(__file__).resolve().parent
# Loaded by /init: what carries results to the host.
BOOT_MODULES = ("virtio_pci", "9p", "9pnet_virtio")
# Loaded by a scenario, with its own parameters.
TEST_MODULES = ("vivid", "snd-aloop", "snd-dummy", "v4l2loopback")
PROGRAMS = ("busybox", "v4l2-ctl", "arecord", "aplay", "ffmpeg", "mosquitto", "mosquitto_sub", "mosquitto_pub")
DATA = ("usr/share/alsa",)
FOLDERS = ("dev", "proc", "sys", "tmp", "run", "lab", "host", "etc", "usr/bin", "lib64", "modules")
ETC = {
    "passwd": "root:x:0:0:root:/tmp:/bin/sh\n",
    "group": "root:x:0:\naudio:x:29:\nvideo:x:44:\n",
    "hosts": "127.0.0.1 localhost\n",
    "nsswitch.conf": "passwd: files\nhosts: files\n",
    "machine-id": "d3300000000000000000000000000002\n",
}
RECIPE = ("bed.py", "initrd.py", "packages.py", "guest/init")
LOADER = "lib64/ld-linux-x86-64.so.2"


def recipe_hash():
    """Of all that decides what the bed is; Debian's own updates come with `make clean`."""
    digest = hashlib.sha256(packages.LIST.read_bytes())
    for name in RECIPE:
        digest.update((HERE / name).read_bytes())
    return digest.hexdigest()[:12]


class Bed:
    """Where everything is. `note` says what could not be had."""

    def __init__(self, folder):
        self.folder = folder
        self.unpacked, self.root = folder / "unpacked", folder / "root"
        self.kernel, self.initrd, self.about = folder / "vmlinux", folder / "initrd", folder / "about.txt"

    @property
    def qemu(self):
        return self.unpacked / "usr/bin/qemu-system-x86_64"

    def library_path(self):
        return ":".join(str(self.unpacked / f) for f in ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"))

    def environment(self):
        return dict(os.environ, LD_LIBRARY_PATH=self.library_path(), LC_ALL="C")

    def has_module(self, name):
        return f" {name.replace('-', '_')} " in self.about.read_text().replace("\n", " ") + " "


def libraries(program, environment):
    """{name: path} of the shared libraries that `program` loads."""
    told = subprocess.run(["ldd", str(program)], env=environment, capture_output=True, text=True, check=False).stdout
    found = {}
    for line in told.splitlines():
        name, arrow, rest = line.strip().partition(" => ")
        if arrow and rest.startswith("/"):
            found[name] = Path(rest.split(" (")[0])
        elif arrow:
            raise packages.Unavailable(f"{program.name} needs {name}, which is not here")
    return found


def add_program(bed, program, root, name=None):
    """Copies `program` and what it loads to where the guest's loader looks, save what is in the bed's root already."""
    wanted = {Path("usr/lib/x86_64-linux-gnu") / name: path for name, path in libraries(program, bed.environment()).items()}
    wanted |= {Path(LOADER): Path("/") / LOADER, Path("usr/bin") / (name or program.name): program}
    for name, path in wanted.items():
        if not (bed.root / name).exists() and not (root / name).exists():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(os.path.realpath(path), root / name)


def find_program(bed, name):
    folders = [*(bed.unpacked / f for f in ("usr/bin", "usr/sbin", "bin", "sbin")), *map(Path, ("/usr/bin", "/usr/sbin"))]
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    raise packages.Unavailable(f"{name} is not here: run 'make setup'")


def make_root(bed):
    for folder in FOLDERS:
        (bed.root / folder).mkdir(parents=True, exist_ok=True)
    for name, text in ETC.items():
        (bed.root / "etc" / name).write_text(text)
    for name in PROGRAMS:
        add_program(bed, find_program(bed, name), bed.root)
    for name in DATA:
        for source in (Path("/") / name, bed.unpacked / name):
            if source.is_dir():
                shutil.copytree(source, bed.root / name, dirs_exist_ok=True)
    for link, target in (("bin", "usr/bin"), ("lib", "usr/lib"), ("sbin", "usr/bin")):
        (bed.root / link).symlink_to(target)
    (bed.root / "usr/bin/sh").symlink_to("busybox")
    shutil.copy2(HERE / "guest/init", bed.root / "init")
    (bed.root / "init").chmod(0o755)


def build_loopback(bed, version):
    """v4l2loopback.ko from Debian's source package, against Debian's headers; the reason where that fails, else None."""
    sources = sorted((bed.unpacked / "usr/src").glob("v4l2loopback-*"))
    headers, common = (bed.unpacked / f"usr/src/linux-headers-{v}" for v in (version, version.rsplit("-", 1)[0] + "-common"))
    if not sources or not headers.is_dir():
        return "its source or the kernel's headers are not among the packages"
    # Debian's Makefile names the place of an installed package.
    (headers / "Makefile").write_text(f"include {common}/Makefile\n")
    made = subprocess.run(["make", "-s", "-C", str(headers), f"M={sources[-1]}", f"KERNELRELEASE={version}", "modules"],
                          env=bed.environment(), capture_output=True, text=True, check=False)
    return None if made.returncode == 0 else (made.stderr.strip().splitlines() or ["make failed"])[-1][:160]


def add_modules(bed, modules):
    """Each in /modules, beside NAME.needs: what to load before it, and itself last."""
    where = bed.root / "modules"
    for name in modules.order(BOOT_MODULES + TEST_MODULES):
        shutil.copy2(modules.files[name], where / f"{name}.ko")
        (where / f"{name}.needs").write_text("\n".join(modules.order([name])) + "\n")
    (where / "boot").write_text("\n".join(modules.order(BOOT_MODULES)) + "\n")


def assemble(folder):
    """All of it in `folder`; what was only needed on the way is removed."""
    bed = Bed(folder)
    got = packages.unpack(packages.fetch(folder / "apt"), bed.unpacked)
    images = sorted((bed.unpacked / "boot").glob("vmlinuz-*"))
    if not images:
        raise packages.Unavailable("no kernel among the packages")
    version = images[-1].name.partition("-")[2]
    bed.kernel.write_bytes(initrd.kernel(images[-1]))
    trouble = build_loopback(bed, version)
    modules = initrd.Modules(bed.unpacked / "lib/modules" / version, bed.unpacked / "usr/src")
    make_root(bed)
    add_modules(bed, modules)
    bed.initrd.write_bytes(initrd.build(bed.root))
    have = [m for m in TEST_MODULES if m.replace("-", "_") in modules.files]
    note = f"v4l2loopback: {trouble}\n" if trouble else ""
    bed.about.write_text(f"kernel {version}\nmodules {' '.join(h.replace('-', '_') for h in have)}\n{note}" + "\n".join(got) + "\n")
    shutil.rmtree(folder / "apt")
    for name in ("lib/modules", "usr/src", "usr/lib/linux-kbuild-6.1", "boot"):
        shutil.rmtree(bed.unpacked / name, ignore_errors=True)


def initrd_with(bed, folder, out):
    """The bed's initramfs with the files of `folder` over it."""
    with open(bed.initrd, "rb") as base, open(out, "wb") as whole:
        shutil.copyfileobj(base, whole)
        archive = initrd.Archive()
        initrd.tree(archive, folder)
        whole.write(archive.bytes())


def get(cache):
    """The bed of the present recipe, built where there is none; older ones go."""
    packages.check_machine()
    cache = Path(cache).resolve()
    wanted = Bed(cache / f"bed-{recipe_hash()}")
    if wanted.about.is_file():
        return wanted
    for old in cache.glob("bed-*"):
        shutil.rmtree(old)
    part = cache / "bed-part"
    try:
        assemble(part)
    except subprocess.CalledProcessError as error:
        raise packages.Unavailable(f"{error.cmd[0]} ended with exit code {error.returncode}") from error
    part.rename(wanted.folder)
    return wanted
