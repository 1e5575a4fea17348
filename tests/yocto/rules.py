"""Rules of text: what BitBake's parser takes without a word and what is wrong all the same, and what yocto-check-layer asks of a layer."""

import pathlib
import re
import tomllib

from metadata import LAYERS, ROOT

RELEASE = "wrynose"
# The Rust of that release.
RELEASE_RUST = (1, 94)
# (pattern, what is wrong and what would be right)
LINES = [
    (r"^[^#\n]*?\b[A-Z][A-Za-z0-9_${}-]*_(append|prepend|remove)(?=[\s_:]*[=+.(])", "old override syntax: VAR:append"),
    (r"^(R?DEPENDS|RRECOMMENDS|RPROVIDES|FILES|CONFFILES|SUMMARY|SYSTEMD_SERVICE|USERADD_PARAM|GROUPADD_PARAM|INSANE_SKIP|pkg_post\w+)_\$\{",
     "old override syntax, which parses as a variable of that name: VAR:${PN}"),
    (r'^S\s*=\s*"\$\{WORKDIR\}', "sources are below UNPACKDIR: leave S out or use ${UNPACKDIR}"),
    (r"\$\{WORKDIR\}/[\w.@-]+\.(service|conf|toml|sh|rules|timer|cfg|in|hex)\b", "local files are in ${UNPACKDIR}"),
    (r"\$\{?AUTOREV\}?|\"AUTOINC\"", "AUTOREV asks the network at every parse"),
    (r"debug-tweaks", "debug-tweaks is gone: name the features, in a development image"),
    (r"LICENSE_FLAGS_WHITELIST|DISTRO_FEATURES_BACKFILL|PNBLACKLIST|BB_DANGLINGAPPENDS_WARNONLY", "renamed or gone"),
    (r"\[network\]\s*=\s*\"?1", "a task with network access"),
    (r"^inherit\b.*\b(cargo_bin|rust-bin)\b", "no class of openembedded-core"),
    (r"^\s*INSANE_SKIP", "says that something is wrong and stays so"),
    (r"^\s*(OE_FRAGMENTS|LICENSE_FLAGS_ACCEPTED)\b", "is the builder's to say, not a layer's"),
]
GUARD = re.compile(r"^require \$\{@bb\.utils\.contains\('DISTRO_FEATURES', 'picket', '[\w.-]+\.inc', '', d\)\}$")


def texts(layer: pathlib.Path, *suffixes: str) -> list[pathlib.Path]:
    return sorted(path for path in layer.rglob("*") if path.suffix in suffixes and path.is_file())


def layer_faults(name: str, layer: pathlib.Path) -> list[str]:
    """What a layer must have beside recipes."""
    faults, conf = [], (layer / "conf/layer.conf").read_text()
    for key in ("BBFILE_PATTERN", "BBFILE_PRIORITY", "LAYERVERSION", "LAYERSERIES_COMPAT", "LAYERDEPENDS"):
        if not re.search(rf"^{key}_{name} = ", conf, re.M):
            faults.append(f"conf/layer.conf: no {key}_{name}")
    if f'LAYERSERIES_COMPAT_{name} = "{RELEASE}"' not in conf:
        faults.append(f"conf/layer.conf: LAYERSERIES_COMPAT_{name} is not exactly {RELEASE}, the one that is checked")
    if not re.search(rf'^LAYERDEPENDS_{name} = "core\b', conf, re.M):
        faults.append(f"conf/layer.conf: LAYERDEPENDS_{name} does not begin with core")
    if (layer / "conf/machine").exists() or (layer / "conf/distro").exists():
        faults.append("conf/machine or conf/distro: these layers have neither")
    readme = layer / "README.md"
    for word in ("Maintainer", "Patches", "Security", "Dependencies", "@", "never built"):
        if not readme.exists() or word not in readme.read_text():
            faults.append(f"README.md: does not say '{word}'")
    faults += [f"{file}: is not there" for file in ("SECURITY.md", "LICENSE") if not (layer / file).exists()]
    return faults


def file_faults(layer: pathlib.Path) -> list[str]:
    """Lines that no recipe may have, appends without a guard, keys and patches."""
    faults = []
    for path in texts(layer, ".bb", ".bbappend", ".inc", ".bbclass", ".conf"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if line.lstrip().startswith("#"):
                continue
            faults += [f"{path.relative_to(layer)}:{number}: {why}" for pattern, why in LINES if re.search(pattern, line)]
    for path in texts(layer, ".bbappend"):
        body = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
        if len(body) != 1 or not GUARD.match(body[0]):
            faults.append(f"{path.relative_to(layer)}: changes another layer's recipe for everybody: only a require behind DISTRO_FEATURES 'picket'")
        elif not (path.parent / body[0].split("'")[5]).exists():
            faults.append(f"{path.relative_to(layer)}: {body[0].split(chr(39))[5]} is not beside it")
        if path.name.startswith("ffmpeg"):
            faults.append(f"{path.relative_to(layer)}: FFmpeg's options are the distribution's: conf/fragments")
    for path in layer.rglob("*"):
        if path.is_file() and "PRIVATE KEY" in path.read_text(errors="replace"):
            faults.append(f"{path.relative_to(layer)}: a private key")
        if path.suffix == ".patch" and not re.search(r"^Upstream-Status: (Pending|Submitted|Backport|Denied|Inactive|Inappropriate)", path.read_text(), re.M):
            faults.append(f"{path.relative_to(layer)}: no Upstream-Status")
    return faults


def check_text() -> list[str]:
    """Faults of both layers' texts."""
    return [f"{layer.name}/{fault}" for name, layer in LAYERS.items() for fault in layer_faults(name, layer) + file_faults(layer)]


def check_versions() -> list[str]:
    """The daemon must build with the release's Rust, and the recipe has its version."""
    package = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]
    faults = []
    if tuple(int(part) for part in package["rust-version"].split(".")[:2]) > RELEASE_RUST:
        faults.append(f"Cargo.toml asks for Rust {package['rust-version']}; {RELEASE} has {RELEASE_RUST[0]}.{RELEASE_RUST[1]}")
    recipe = LAYERS["picket"] / f"recipes-picket/picket/picket_{package['version']}.bb"
    if not recipe.exists():
        faults.append(f"the recipe is not {recipe.name}: rename it, the package's version is {package['version']}")
    return faults
