"""Debian packages for the box: fetched by apt with a state of our own, checked against a lock, unpacked without a maintainer script.

Root is not needed and nothing is installed. A lock names each package with its version and the SHA-256 of its file. Debian's mirrors keep
only the newest version, so a security update makes a locked one unavailable: then the build says so, or, asked with `newer`, takes what
there is and tells the difference.
"""
import hashlib
import os
import subprocess
from pathlib import Path

MIRROR = os.environ.get("PICKET_DEBIAN_MIRROR", "http://deb.debian.org")
SUITES = ("debian bookworm", "debian bookworm-updates", "debian-security bookworm-security")
# Documentation, translations, and what only package management reads.
LEFT_OUT = ("usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale", "usr/share/lintian", "usr/share/bug", "usr/share/bash-completion",
            "usr/share/zsh", "usr/share/doc-base", "usr/share/gdb", "usr/share/polkit-1", "etc/apt", "etc/logrotate.d", "etc/init.d", "etc/default",
            "etc/rcS.d", "etc/cron.daily", "etc/cron.d", "etc/kernel", "etc/initramfs-tools", "usr/share/initramfs-tools")


class Failed(Exception):
    """The image cannot be made; the text says why and what would help."""


def run(*words, timeout=600, **more):
    """A command's standard output; [`Failed`] with the end of what it complained of."""
    try:
        done = subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL, check=False, **more)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failed(f"{words[0]}: {error}") from error
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-6:]
        raise Failed(f"{words[0]} ended with exit code {done.returncode}:\n  " + "\n  ".join(said))
    return done.stdout


class Apt:
    """apt for one foreign architecture, with all of its state in `folder`."""

    def __init__(self, folder, architecture):
        self.folder = Path(folder).resolve()
        for name in ("lists/partial", "cache/archives/partial", "files"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "status").touch()
        (self.folder / "sources.list").write_text("".join(f"{kind} {MIRROR}/{suite} main\n" for suite in SUITES for kind in ("deb", "deb-src")))
        settings = {"APT::Architecture": architecture, "Dir::State": self.folder, "Dir::State::lists": self.folder / "lists",
                    "Dir::State::status": self.folder / "status", "Dir::Cache": self.folder / "cache", "Dir::Etc::sourcelist": self.folder / "sources.list",
                    "Dir::Etc::sourceparts": "/dev/null", "Debug::NoLocking": "true", "Acquire::Retries": "3", "Acquire::Languages": "none",
                    "APT::Update::Error-Mode": "any"}
        if os.geteuid() == 0:
            settings["APT::Sandbox::User"] = "root"  # apt's own user may not write here
        text = "".join(f'{key} "{value}";\n' for key, value in settings.items())
        (self.folder / "apt.conf").write_text(text + f'APT::Architectures {{ "{architecture}"; }};\n')
        self.environment = dict(os.environ, APT_CONFIG=str(self.folder / "apt.conf"), LC_ALL="C")

    def update(self):
        run("apt-get", "-q", "update", env=self.environment)

    def candidates(self, names):
        """{name: (version, sha256)} of what the mirror offers now."""
        told = run("apt-cache", "show", "--no-all-versions", *names, env=self.environment)
        found = {}
        for paragraph in told.split("\n\n"):
            fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and line[0] != " ")
            if "Package" in fields:
                found[fields["Package"]] = (fields["Version"], fields["SHA256"])
        missing = sorted(set(names) - set(found))
        if missing:
            raise Failed(f"Debian has no package {', '.join(missing)}")
        return found

    def fetch(self, locked):
        """The files of {name: (version, sha256)}, kept from one build to the next, in the order of names."""
        files = {name: self.folder / "files" / f"{name}_{sha[:16]}.deb" for name, (_, sha) in locked.items()}
        wanted = [name for name, file in files.items() if not file.is_file()]
        if wanted:
            run("apt-get", "-q", "download", *(f"{n}={locked[n][0]}" for n in wanted), env=self.environment, cwd=self.folder / "cache")
        by_hash = {}
        for file in (self.folder / "cache").glob("*.deb"):
            by_hash[hashlib.sha256(file.read_bytes()).hexdigest()] = file
        for name in wanted:
            if locked[name][1] not in by_hash:
                raise Failed(f"{name} {locked[name][0]} is not the file that the lock names")
            by_hash[locked[name][1]].rename(files[name])
        return [files[name] for name in sorted(files)]

    def source(self, name, into):
        """Unpacks the source package, patches applied; its version."""
        out = run("apt-get", "-q", "source", "--only-source", "--download-only", name, env=self.environment, cwd=into)
        descriptions = sorted(into.glob(f"{name}_*.dsc"))
        if not descriptions:
            raise Failed(f"no source package {name}: {out[-200:]}")
        run("dpkg-source", "--no-check", "-x", descriptions[-1].name, into / name, cwd=into)
        return descriptions[-1].stem.partition("_")[2]

    def source_version(self, name):
        told = run("apt-cache", "showsrc", "--only-source", name, env=self.environment)
        versions = [line.split(": ", 1)[1] for line in told.splitlines() if line.startswith("Version: ")]
        if not versions:
            raise Failed(f"Debian has no source package {name}")
        newest = versions[0]
        for other in versions[1:]:
            if subprocess.run(["dpkg", "--compare-versions", other, "gt", newest], check=False).returncode == 0:
                newest = other
        return newest


def read_lock(path):
    """{name: (version, sha256)}."""
    rows = [line.split() for line in path.read_text().splitlines() if line and line[0] != "#"]
    return {name: (version, sha) for name, version, sha in rows}


def write_lock(path, packages):
    head = "# name, version, SHA-256 of the .deb (arm64). Made by `make image-lock` from board/packages/image-root.txt; not edited by hand.\n"
    path.write_text(head + "".join(f"{name} {version} {sha}\n" for name, (version, sha) in sorted(packages.items())))


def settled(locked, offered, newer):
    """What to take, and what was not as locked: `newer` decides whether that is an error."""
    changed = {name: (locked[name][0], offered[name][0]) for name in offered if locked[name] != offered[name]}
    if changed and not newer:
        told = ", ".join(f"{name} {was} -> {now}" for name, (was, now) in sorted(changed.items()))
        raise Failed(f"Debian has newer versions than the lock names: {told}\n"
                     "  'make image-lock' renews it (commit the result), or build with NEWER=1 to take them this once")
    return offered, changed


def unpack(files, root):
    """All of `files` under `root`, /bin, /sbin and /lib being links into /usr."""
    for name in ("bin", "sbin", "lib"):
        (root / "usr" / name).mkdir(parents=True, exist_ok=True)
        if not (root / name).is_symlink():
            (root / name).symlink_to(f"usr/{name}")
    left_out = [f"--exclude=./{name}" for name in LEFT_OUT]
    for file in files:
        packed = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(file)], stdout=subprocess.PIPE)
        words = ["tar", "-x", "--keep-directory-symlink", "--no-same-owner", "-p", "-C", str(root), *left_out]
        done = subprocess.run(words, stdin=packed.stdout, capture_output=True, text=True, check=False)
        if packed.wait() or done.returncode:
            raise Failed(f"{file.name} cannot be unpacked: {done.stderr.strip()[-200:]}")
