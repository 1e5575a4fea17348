#!/usr/bin/env python3
"""`make yocto-build`: what the daemon's recipe fetches, unpacks, compiles and installs, done for this machine without a network.

Fetched and unpacked by BitBake's own fetcher from the recipe's SRC_URI: the commit that is checked out, and the listed crates with their
checksums, out of cargo's cache. Then `cargo build` as cargo.bbclass calls it (--frozen, --release, crates.io replaced by what was
unpacked), in a network namespace of its own, and the recipe's do_install. Compiler, FFmpeg and processor are this machine's: it says
that the sources build from exactly these crates, and nothing about a cross build.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import metadata as layers  # noqa: E402

ROOT = layers.ROOT


def run(*command, **options) -> str:
    """The output of a command that must succeed."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)
    if done.returncode:
        raise SystemExit(f"build: {' '.join(map(str, command))}\n{(done.stdout + done.stderr)[-3000:]}")
    return done.stdout


def prepare(folder: pathlib.Path):
    """The recipe in a configuration whose folders are below `folder`, and crates from cargo's cache in its DL_DIR."""
    run(ROOT / "board/cargo.sh", "fetch", "--locked", cwd=ROOT)
    downloads = folder / "downloads"
    downloads.mkdir(parents=True)
    caches = pathlib.Path(os.environ.get("CARGO_HOME", pathlib.Path.home() / ".cargo")) / "registry/cache"
    for crate in caches.glob("*/*.crate"):
        (downloads / crate.name).symlink_to(crate)
    metadata = layers.Metadata()
    d = metadata.configuration()
    for key, value in {"WORKDIR": str(folder / "work"), "DL_DIR": str(downloads), "BB_NO_NETWORK": "1", "PATH": os.environ["PATH"],
                       "CARGO_HOME": "${WORKDIR}/cargo_home", "B": "${WORKDIR}/build", "BB_GIT_DEFAULT_DESTSUFFIX": "${BP}",
                       "GITDIR": f"{folder}/git2"}.items():
        d.setVar(key, value)
    recipe = next((layers.LAYERS["picket"] / "recipes-picket/picket").glob("picket_*.bb"))
    return metadata, metadata.parse(recipe, d)


def fetch(d) -> pathlib.Path:
    """Fetches and unpacks; returns the folder of the unpacked crates."""
    for name in ("UNPACKDIR", "B"):
        pathlib.Path(d.getVar(name)).mkdir(parents=True)
    here = os.getcwd()
    # git's progress goes to the file descriptors themselves.
    kept = os.dup(1), os.dup(2)
    sys.stdout.flush()
    with open(pathlib.Path(d.getVar("WORKDIR")) / "log.fetch", "wb") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        try:
            fetcher = layers.bb.fetch2.Fetch(d.getVar("SRC_URI").split(), d)
            fetcher.download()
            fetcher.unpack(d.getVar("UNPACKDIR"))
        except layers.bb.fetch2.BBFetchException as error:
            raise SystemExit(f"build: fetch: {error}") from error
        finally:
            sys.stdout.flush()
            os.dup2(kept[0], 1)
            os.dup2(kept[1], 2)
            os.chdir(here)
    found = [path for path in pathlib.Path(d.getVar("WORKDIR")).rglob("bitbake") if path.is_dir() and path.parent.name == "cargo_home"]
    return found[0]


def configure(d, crates: pathlib.Path) -> None:
    """cargo's configuration: the registry is a folder, and there is no other."""
    home = pathlib.Path(d.getVar("CARGO_HOME"))
    home.mkdir(parents=True, exist_ok=True)
    (home / "config.toml").write_text(f'[source.bitbake]\ndirectory = "{crates}"\n\n[source.crates-io]\nreplace-with = "bitbake"\n'
                                      f'local-registry = "/nonexistent"\n\n[build]\ntarget-dir = "{d.getVar("B")}/target"\n')


def compile_all(d, triple: str) -> None:
    """cargo.bbclass's call, without a network and with nothing of the caller's cargo."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("CARGO", "RUST"))}
    environment.update(CARGO_HOME=d.getVar("CARGO_HOME"), CARGO_TERM_COLOR="never")
    cargo = run(ROOT / "board/cargo.sh", "--where").strip()
    environment["PATH"] = f"{cargo}:{environment['PATH']}"
    flags = ["-v", "--frozen", "--target", triple, "--release", f"--manifest-path={d.getVar('S')}/Cargo.toml"]
    with open(pathlib.Path(d.getVar("WORKDIR")) / "log.compile", "w") as log:
        done = subprocess.run(["unshare", "--net", "nice", "-n", os.environ.get("NICE", "10"), "cargo", "build", *flags], cwd=d.getVar("B"), env=environment, stdout=log, stderr=log)
    if done.returncode:
        raise SystemExit(f"build: cargo build failed: {log.name}\n{pathlib.Path(log.name).read_text()[-3000:]}")


def install(d, triple: str) -> list[str]:
    """The recipe's do_install, run by a shell; the files that came of it."""
    target = pathlib.Path(d.getVar("D"))
    d.setVar("CARGO_TARGET_SUBDIR", f"{triple}/release")
    body = 'oe_runmake() { make "$@"; }\n' + d.getVar("do_install")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("CARGO", "MAKE", "MFLAGS"))}
    run("sh", "-eu", "-c", body, env=environment)
    return sorted("/" + str(path.relative_to(target)) for path in target.rglob("*") if path.is_file())


def unpackaged(d, files: list[str]) -> list[str]:
    """Files that neither the recipe's FILES nor bitbake.conf's defaults would take."""
    # bitbake.conf: programs, libraries' folders by name, /etc, man pages and documents (the -doc package).
    taken = ["/usr/bin/", "/etc/", "/usr/lib/systemd/", "/usr/share/doc/", "/usr/share/picket/"]
    taken += [entry for key in d.keys() if key.startswith("FILES:") for entry in d.expand(d.getVar(key)).split()]
    return [file for file in files if not any(file.startswith(entry) for entry in taken)]


def main() -> int:
    folder = pathlib.Path(sys.argv[1]).absolute()
    shutil.rmtree(folder, ignore_errors=True)
    began = time.monotonic()
    metadata, d = prepare(folder)
    crates = fetch(d)
    count = sum(1 for path in crates.iterdir() if (path / ".cargo-checksum.json").exists())
    print(f"ok   fetch and unpack: commit {d.getVar('SRCREV')[:12]}, {count} crates, network off", flush=True)
    if "--fetch-only" in sys.argv:
        return 0
    configure(d, crates)
    triple = next(line.split()[1] for line in run(run(ROOT / "board/cargo.sh", "--where").strip() + "/rustc", "-vV").splitlines() if line.startswith("host:"))
    compile_all(d, triple)
    print(f"ok   cargo build --frozen --release without a network, {time.monotonic() - began:.0f} s so far", flush=True)
    files = install(d, triple)
    faults = unpackaged(d, files)
    for fault in faults:
        print(f"FAIL in no package: {fault}")
    said = run(f"{d.getVar('D')}/usr/bin/picket", "--version").strip()
    print(f"{'FAIL' if faults else 'ok':4} do_install: {len(files)} files; the installed program says '{said}'")
    print(f"build: {time.monotonic() - began:.0f} s; not done: a cross build, OE's compiler, clang 22, FFmpeg 8")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
