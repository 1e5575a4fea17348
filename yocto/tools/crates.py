#!/usr/bin/env python3
"""Writes the recipe's list of crates from Cargo.lock, or compares the two (`--check`).

One `crate://` line and one checksum for each package of the registry, those of other platforms and of tests included, because
`cargo --frozen` resolves all of Cargo.lock. A dependency from git would need a line of its own in the recipe and is refused.
"""

import argparse
import pathlib
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIST = ROOT / "yocto/meta-picket/recipes-picket/picket/picket-crates.inc"
REGISTRY = "registry+https://github.com/rust-lang/crates.io-index"
AGAIN = "make yocto-crates"


def render(lock: str) -> str:
    """The text of the list for the text of a Cargo.lock."""
    crates = []
    for package in tomllib.loads(lock)["package"]:
        name, version, source = package["name"], package["version"], package.get("source")
        if source is None:
            continue  # Picket itself
        if source != REGISTRY:
            raise ValueError(f"{name} {version} comes from {source}: only crates.io is fetched by the recipe")
        crates.append((name, version, package["checksum"]))
    crates.sort()
    lines = [f"# Written from Cargo.lock by `{AGAIN}`; do not edit.", "", 'SRC_URI += " \\']
    lines += [f"    crate://crates.io/{name}/{version} \\" for name, version, _ in crates]
    lines += ['"', ""]
    lines += [f'SRC_URI[{name}-{version}.sha256sum] = "{checksum}"' for name, version, checksum in crates]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing, exit with 1 where the list is another")
    arguments = parser.parse_args()
    try:
        wanted = render((ROOT / "Cargo.lock").read_text())
    except ValueError as error:
        print(f"crates: {error}", file=sys.stderr)
        return 1
    count = wanted.count("crate://")
    if LIST.exists() and LIST.read_text() == wanted:
        print(f"crates: {count} crates, as in Cargo.lock")
        return 0
    if arguments.check:
        print(f"crates: {LIST.relative_to(ROOT)} is not what Cargo.lock says: run '{AGAIN}'", file=sys.stderr)
        return 1
    LIST.write_text(wanted)
    print(f"crates: wrote {count} crates to {LIST.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
