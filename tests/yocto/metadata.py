"""The layers as BitBake sees them, by BitBake's own parser (Python package bitbake-setup), without the layers that they depend on.

Classes of other layers are stood in for by empty ones, and the few variables of bitbake.conf that recipes expand are set here. So this
finds what is wrong in our files by themselves: syntax, conditions, URIs, overrides, functions of shell and Python. It does not resolve
dependencies; `make yocto-layers` does that with the real layers.
"""

import logging
import os
import pathlib
import re
import sys
import tempfile
import types

# The package holds BitBake's library but not its hash server's client, which the parser imports and this use never calls.
for _name in ("hashserv", "hashserv.client"):
    sys.modules.setdefault(_name, types.ModuleType(_name))
sys.modules["hashserv"].client = sys.modules["hashserv.client"]

import bb  # noqa: E402
import bb.codeparser  # noqa: E402
import bb.data  # noqa: E402
import bb.fetch2  # noqa: E402
import bb.parse  # noqa: E402
import bb.siggen  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
LAYERS = {"picket": ROOT / "yocto/meta-picket", "picket-bsp": ROOT / "yocto/meta-picket-bsp"}
# For each machine that meta-picket-bsp knows: its fragment, and the overrides that the vendor's layer gives it.
MACHINES = {
    "qemuarm64": ("qemuarm64", "qemuarm64"),
    "raspberrypi4-64": ("raspberrypi4", "rpi:raspberrypi4:raspberrypi4-64"),
    "imx8mp-lpddr4-evk": ("imx8mp", "mx8mp:imx8mp-lpddr4-evk"),
    "rock-5b": ("rk3588", "rk3588s:rk3588:rock-5b"),
}
# What recipes expand of bitbake.conf, and of the machines' own files.
BASE = {
    "THISDIR": "${@os.path.dirname(d.getVar('FILE', False))}",
    "PN": "${@bb.parse.vars_from_file(d.getVar('FILE', False), d)[0] or 'x'}",
    "PV": "${@bb.parse.vars_from_file(d.getVar('FILE', False), d)[1] or '1.0'}",
    "BPN": "${PN}", "BP": "${BPN}-${PV}", "UNPACKDIR": "${WORKDIR}/sources", "S": "${UNPACKDIR}/${BP}", "B": "${S}", "D": "${WORKDIR}/image",
    "prefix": "/usr", "bindir": "/usr/bin", "sbindir": "/usr/sbin", "base_sbindir": "/sbin", "sysconfdir": "/etc", "libdir": "/usr/lib",
    "libexecdir": "/usr/libexec", "localstatedir": "/var", "datadir": "/usr/share", "docdir": "/usr/share/doc", "nonarch_libdir": "/usr/lib",
    "nonarch_base_libdir": "/usr/lib", "systemd_system_unitdir": "/usr/lib/systemd/system", "DEPLOYDIR": "${WORKDIR}/deploy",
    "IMGDEPLOYDIR": "/deploy", "IMAGE_LINK_NAME": "${PN}-${MACHINE}", "IMAGE_ROOTFS": "${WORKDIR}/rootfs", "IMX_BOOT_SEEK": "32",
    "DISTRO_VERSION": "6.0", "MACHINE_ARCH": "${MACHINE}", "HOST_CC_ARCH": "", "TOOLCHAIN_OPTIONS": "", "TARGET_SYS": "aarch64-oe-linux",
    "STAGING_LIBDIR_NATIVE": "/native/usr/lib", "KERNEL_DEVICETREE": "vendor/board.dtb", "CORE_IMAGE_EXTRA_INSTALL": "", "DISTRO_FEATURES": "systemd",
    "RAUC_KEYRING_FILE": "ca.cert.pem",
}


class Fault(Exception):
    """BitBake does not take a file."""


class Metadata:
    """Both layers, parsed anew for each question: a datastore is changed by what is parsed into it."""

    def __init__(self) -> None:
        logging.disable(logging.CRITICAL)
        # BitBake ends the program by sys.exit in its fatal errors.
        bb.fatal = bb.parse.bb.fatal = self._fatal
        self._scratch = tempfile.TemporaryDirectory(prefix="yocto-check-")
        self.scratch = pathlib.Path(self._scratch.name)
        for recipe in self.recipes() + self.appends():
            for name in inherited(recipe):
                path = self.scratch / "classes-recipe" / f"{name}.bbclass"
                path.parent.mkdir(exist_ok=True)
                path.touch()

    @staticmethod
    def _fatal(*words, **_):
        raise Fault(" ".join(str(word) for word in words))

    @staticmethod
    def recipes() -> list[pathlib.Path]:
        return sorted(path for layer in LAYERS.values() for path in layer.rglob("*.bb"))

    @staticmethod
    def appends() -> list[pathlib.Path]:
        return sorted(path for layer in LAYERS.values() for path in layer.rglob("*.bbappend"))

    @staticmethod
    def fragments() -> list[str]:
        """As OE_FRAGMENTS names them."""
        return sorted(f"{name}/{path.stem}" for name, layer in LAYERS.items() for path in (layer / "conf/fragments").glob("*.conf"))

    def configuration(self, machine: str = "qemuarm64", extra: tuple[str, ...] = (), features: str = "") -> "bb.data_smart.DataSmart":
        """layer.conf of both layers and the fragments of an appliance on this machine. `features` adds DISTRO_FEATURES by hand."""
        fragment, overrides = MACHINES[machine]
        d = bb.data.init()
        path = ":".join([*(str(layer) for layer in LAYERS.values()), str(self.scratch)])
        values = {"BBPATH": path, "TOPDIR": str(self.scratch), "TMPDIR": "${TOPDIR}/tmp", "WORKDIR": "${TOPDIR}/work", "PERSISTENT_DIR": str(self.scratch),
                  "FILESPATH": "", "__bbclasstype": "recipe", "MACHINE": machine, "BBFILES": "", "BBFILE_COLLECTIONS": "", "BBLAYERS": "",
                  "OVERRIDES": f"{overrides}:pn-${{PN}}:class-target:forcevariable", **BASE}
        for key, value in values.items():
            d.setVar(key, value)
        bb.parse.siggen = bb.siggen.init(d)
        for layer in LAYERS.values():
            d.setVar("LAYERDIR", str(layer))
            d = self._handle(layer / "conf/layer.conf", d)
            d.expandVarref("LAYERDIR")
        d.delVar("LAYERDIR")
        if features:
            d.appendVar("DISTRO_FEATURES", f" {features}")
        else:
            for name in ("picket/appliance", f"picket-bsp/{fragment}", *extra):
                d = self.fragment(name, d)
        return d

    def fragment(self, name: str, d):
        layer, _, rest = name.partition("/")
        return self._handle(LAYERS[layer] / f"conf/fragments/{rest}.conf", d)

    @staticmethod
    def _handle(path: pathlib.Path, d):
        try:
            return bb.parse.handle(str(path), d, True)
        except Fault:
            raise
        except BaseException as error:  # BitBake's own errors, and its sys.exit
            raise Fault(f"{path.relative_to(ROOT)}: {type(error).__name__}: {error}") from error

    def parse(self, path: pathlib.Path, d):
        """A recipe or an append in a configuration, with its overrides applied."""
        try:
            if path.suffix == ".bb":
                return bb.parse.handle(str(path), d)[""]
            d.setVar("PN", re.split(r"[_.%]", path.name)[0])
            d.setVar("FILE", str(path))
            from bb.parse.parse_py import BBHandler
            d = BBHandler.handle(str(path), d, True)
            bb.parse.ast.finalize(str(path), d)
            return d
        except Fault:
            raise
        except BaseException as error:
            raise Fault(f"{path.relative_to(ROOT)}: {type(error).__name__}: {error}") from error


def inherited(recipe: pathlib.Path) -> set[str]:
    """Names of the classes that a recipe and what it requires from its own folder inherit."""
    text = recipe.read_text()
    text += "".join((recipe.parent / name).read_text() for name in re.findall(r"^require (\S+\.inc)$", text, re.M) if (recipe.parent / name).exists())
    return set(" ".join(re.findall(r"^inherit(?:_defer)?\s+(.+)$", text, re.M)).split())


def find_file(name: str, recipe: pathlib.Path, d) -> pathlib.Path | None:
    """Where BitBake would find a file:// of this recipe or append."""
    folders = [*(d.getVar("FILESEXTRAPATHS") or "").split(":"), *(str(recipe.parent / part) for part in (d.getVar("BP"), d.getVar("BPN"), "files"))]
    found = (pathlib.Path(folder) / name for folder in folders if folder and "__default" not in folder)
    return next((path for path in found if path.exists()), None)


def function_faults(d) -> list[str]:
    """Functions that the shell or Python does not take."""
    faults = []
    for name in sorted(d.keys()):
        if not d.getVarFlag(name, "func", False) or d.getVarFlag(name, "noexec", False):
            continue
        body = d.getVar(name) or ""
        try:
            if d.getVarFlag(name, "python", False):
                bb.codeparser.PythonParser(name, logging.getLogger()).parse_python(body)
            else:
                bb.codeparser.ShellParser(name, logging.getLogger()).parse_shell(body)
        except Exception as error:
            faults.append(f"{name}: {type(error).__name__}: {error}")
    return faults


def belongs(path: pathlib.Path, d) -> bool:
    """Whether BBFILES or BBFILES_DYNAMIC of layer.conf reaches the file."""
    patterns = (d.getVar("BBFILES") or "").split()
    patterns += [entry.split(":", 1)[1] for entry in (d.getVar("BBFILES_DYNAMIC") or "").split()]
    return any(pathlib.PurePath(path).match(pattern) for pattern in patterns) and os.path.isfile(path)
