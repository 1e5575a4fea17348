"""The box's root file system: packages, our own FFmpeg, Picket, and the files of board/common/files and board/image/files."""
import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import debs

HERE = Path(__file__).resolve().parent
BOARD, PROJECT = HERE.parent, HERE.parents[1]
LIBRARIES = "usr/lib/aarch64-linux-gnu"
# Folders that others mount on, or write below.
FOLDERS = ("dev", "proc", "sys", "run", "tmp", "root", "data", "var", "boot/efi", "boot/picket", "etc/picket", "etc/rauc")
UNITS_OFF = ("systemd-networkd-wait-online.service systemd-pstore.service systemd-update-utmp.service systemd-update-utmp-runlevel.service "
             "systemd-ask-password-wall.path systemd-ask-password-console.path systemd-hwdb-update.service systemd-update-done.service ldconfig.service "
             "systemd-journal-catalog-update.service systemd-firstboot.service systemd-machine-id-commit.service systemd-boot-system-token.service "
             "systemd-boot-update.service systemd-quotacheck.service systemd-binfmt.service sys-fs-fuse-connections.mount dev-hugepages.mount "
             "systemd-sysusers.service first-boot-complete.target getty@tty1.service console-getty.service proc-sys-fs-binfmt_misc.automount "
             "systemd-rfkill.socket systemd-initctl.socket modprobe@fuse.service modprobe@drm.service e2scrub_reap.service getty.target systemd-repart.service "
             "systemd-journal-flush.service systemd-remount-fs.service systemd-pcrphase.service systemd-pcrphase-sysinit.service sys-kernel-debug.mount "
             "sys-kernel-tracing.mount dev-mqueue.mount kmod-static-nodes.service systemd-user-sessions.service cryptsetup.target veritysetup.target "
             "integritysetup.target systemd-journald-audit.socket systemd-logind.service").split()
UNITS_ON = {"multi-user.target":
            "picket.service systemd-networkd.service systemd-resolved.service systemd-timesyncd.service picket-card.service "
            "picket-confirm.service picket-reboot.path picket-update.path picket-grow.service",
            "sockets.target": "dbus.socket systemd-networkd.socket"}
# Programs of systemd and others that a box without people has no use for.
GONE = ("usr/lib/udev/hwdb.d", "usr/lib/udev/hwdb.bin", "etc/udev/hwdb.bin", "usr/lib/systemd/catalog", "usr/lib/systemd/user", "usr/lib/systemd/user-generators",
        "usr/lib/systemd/user-preset", "usr/share/dbus-1/session.d", "usr/lib/aarch64-linux-gnu/gconv", "usr/lib/aarch64-linux-gnu/audit", "usr/share/pam",
        "usr/share/pam-configs", "usr/share/libc-bin", "usr/share/ca-certificates", "usr/share/alsa/ucm2", "usr/share/alsa/topology", "usr/share/apport",
        "usr/share/mime", "usr/lib/systemd/system-generators/systemd-hibernate-resume-generator", "usr/lib/systemd/system-generators/systemd-cryptsetup-generator",
        "usr/lib/systemd/system-generators/systemd-veritysetup-generator", "usr/lib/systemd/system-generators/systemd-integritysetup-generator",
        "usr/lib/systemd/system-generators/systemd-gpt-auto-generator", "usr/lib/systemd/system-generators/systemd-sysv-generator",
        "usr/lib/systemd/system-generators/systemd-rc-local-generator", "usr/lib/systemd/system-generators/systemd-bless-boot-generator",
        "usr/lib/systemd/system-generators/systemd-system-update-generator", "usr/lib/systemd/system-generators/systemd-run-generator",
        "usr/lib/systemd/system-generators/systemd-debug-generator", "usr/lib/modprobe.d/fbdev-blacklist.conf", "etc/X11", "usr/share/factory",
        "usr/share/systemd/kbd-model-map", "usr/share/systemd/language-fallback-map", "usr/lib/systemd/boot", "usr/share/glib-2.0",
        *(f"usr/share/dbus-1/system-services/org.freedesktop.{name}1.service" for name in ("login", "hostname", "locale", "timedate")))
# Of udev's rules, those that a box without screen, keyboard and smart cards needs: each costs time for each device.
RULES = ("50-udev-default 60-block 60-persistent-alsa 60-persistent-storage 60-persistent-v4l 60-serial 75-net-description 78-sound-card 80-drivers "
         "80-net-setup-link 99-systemd").split()
IGNORED = "tty mem vc bdi cpu memory vtconsole workqueue event_source clocksource clockevents machinecheck queues misc graphics".split()
# What starts before Picket in Debian's order and need not. Each must be found, so that a new version is noticed.
ORDER = (("systemd-timesyncd.service", "Before=time-set.target sysinit.target shutdown.target", "Before=time-set.target shutdown.target\nAfter=picket.service"),
         ("systemd-resolved.service", "Before=sysinit.target network.target nss-lookup.target", "Before=nss-lookup.target"),
         ("systemd-networkd.service", "Before=network.target multi-user.target", "Before=multi-user.target"),
         # Hundreds of devices that no rule of ours is about.
         ("systemd-udev-trigger.service", "--type=all --action=add", "--type=all --action=add " + " ".join(f"--subsystem-nomatch={name}" for name in IGNORED)))
# Generators, tools and libraries that nothing here calls.
PROGRAMS_GONE = re.compile(r"usr/(bin/(systemd-(analyze-|cryptenroll|sysext|sysusers-|stdio-bridge|inhibit|firstboot|ask-password|tty-ask|machine-id|mount|umount)|"
                           r"(aserver|localectl|hostnamectl-|loginctl|bootctl|dbus-(run|send|monitor|update|uuid|cleanup))).*|"
                           r"lib/systemd/systemd-(logind|homed|userdbd|userwork|portabled|importd|pull|import|export|journal-(gatewayd|remote|upload)|"
                           r"localed|machined|oomd|coredump|cryptsetup|veritysetup|integritysetup|hibernate-resume|bless-boot|boot-check.*|pstore|sleep|"
                           r"socket-proxyd|sysupdate|update-utmp|xdg-autostart.*|time-wait-sync|quotacheck|backlight|rfkill|binfmt|sulogin-shell|initctl)|"
                           r"lib/aarch64-linux-gnu/lib(memusage|pcprofile|mvec-none|nss_(compat|hesiod)|c_malloc_debug|thread_db|BrokenLocale)[.-].*)$")


def read_packages(path):
    """{name: paths to keep, none for all}."""
    lines = (line.split() for line in path.read_text().splitlines() if line.strip() and line[0] != "#")
    return {words[0]: words[1:] for words in lines}


def unpack(files, wanted, root, work):
    """Whole packages into `root`; of others only what the list names."""
    whole = [file for file in files if not wanted.get(file.name.split("_")[0])]
    debs.unpack(whole, root)
    for file in files:
        if file in whole:
            continue
        part = work / "part"
        shutil.rmtree(part, ignore_errors=True)
        debs.unpack([file], part)
        for name in wanted[file.name.split("_")[0]]:
            source, target = part / name, root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir() and not source.is_symlink():
                shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
            else:
                shutil.copy2(source, target, follow_symlinks=False)


def add_tree(source, root):
    """All below `source`, world readable; scripts keep their x."""
    for path in sorted(source.rglob("*")):
        target = root / path.relative_to(source)
        if path.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        elif path.is_symlink():
            target.unlink(missing_ok=True)
            target.symlink_to(os.readlink(path))
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            shutil.copyfile(path, target)
            target.chmod(0o755 if os.access(path, os.X_OK) else 0o644)


def trim(root):
    for name in GONE:
        path = root / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for path in (root / "usr/lib/udev/rules.d").iterdir():
        if path.stem not in RULES:
            path.unlink()
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if PROGRAMS_GONE.match(name) and not path.is_dir():
            path.unlink()


def reorder(root):
    for name, old, new in ORDER:
        path = root / "usr/lib/systemd/system" / name
        text = path.read_text()
        if old not in text:
            raise debs.Failed(f"{name} has no line {old!r} any more: look at ORDER in {Path(__file__).name}")
        path.write_text(text.replace(old, new))


def add_busybox(root):
    """What is used of it as links, save what is there as a program of its own."""
    applets = (root / "usr/bin/busybox").read_bytes()
    for name in ("[ ash awk basename cat chmod chown cmp cp cut date dd df dirname dmesg du echo env expr false find free grep head hostname id ip "
                 "kill less ln ls md5sum mkdir mktemp mv nc nproc od ping printf ps pwd readlink realpath rm rmdir sed sh sha256sum sleep sort stat stty "
                 "sync tail tee test time timeout top touch tr true uname uniq unzip uptime usleep vi wc wget which xargs").split():
        if f"\0{name}\0".encode() not in applets:
            raise debs.Failed(f"Debian's busybox has no {name}: take it from the list in {Path(__file__).name}")
        if not (root / "usr/bin" / name).exists():
            (root / "usr/bin" / name).symlink_to("busybox")


def add_picket(root, binary, stage):
    """By the project's own `make install`."""
    debs.run("make", "-s", "-C", PROJECT, "install", f"DESTDIR={stage}", f"BINARY={Path(binary).resolve()}")
    add_tree(stage, root)
    shutil.rmtree(root / "usr/share/picket", ignore_errors=True)
    shutil.rmtree(root / "usr/share/doc", ignore_errors=True)
    # What people or the configuration partition put on the data partition lies over this folder.
    (root / "usr/lib/picket").mkdir(parents=True, exist_ok=True)
    shutil.move(root / "etc/picket/picket.toml", root / "usr/lib/picket/picket.toml.example")
    shutil.rmtree(root / "etc/picket")
    (root / "etc/picket").mkdir()


def enable(root, dev):
    system = root / "etc/systemd/system"
    system.mkdir(parents=True, exist_ok=True)
    for folder in sorted(system.glob("*.wants")):
        shutil.rmtree(folder)
    for unit in UNITS_OFF:
        (system / unit).unlink(missing_ok=True)
        (system / unit).symlink_to("/dev/null")
    for target, units in UNITS_ON.items():
        (system / f"{target}.wants").mkdir(exist_ok=True)
        for unit in units.split():
            (system / f"{target}.wants" / unit).symlink_to(f"/usr/lib/systemd/system/{unit}")
    if dev:
        (system / "multi-user.target.wants/picket-shell.service").symlink_to("/usr/lib/systemd/system/picket-shell.service")
    (system / "default.target").unlink(missing_ok=True)
    (system / "default.target").symlink_to("/usr/lib/systemd/system/multi-user.target")


def configure(root, layout, version, keyring):
    etc = root / "etc"
    (etc / "rauc/system.conf").write_text(layout.system_conf())
    shutil.copyfile(keyring, etc / "rauc/keyring.pem")
    (etc / "hostname").write_text("picket\n")
    (etc / "machine-id").write_text("")
    for name, target in (("resolv.conf", "/run/systemd/resolve/stub-resolv.conf"), ("mtab", "/proc/self/mounts"), ("os-release", "../usr/lib/os-release")):
        (etc / name).unlink(missing_ok=True)
        (etc / name).symlink_to(target)
    users = [line.split(":")[0] for line in (etc / "passwd").read_text().splitlines()]
    # Locked, all of them: there is no password to guess.
    (etc / "shadow").write_text("".join(f"{user}:!*:::::::\n" for user in users))
    (etc / "shadow").chmod(0o600)
    keys = layout.common["release"]
    (root / "usr/lib/os-release").write_text(
        f'ID=picket\nID_LIKE=debian\nNAME="Picket"\nPRETTY_NAME="Picket appliance {version} ({layout.board["title"]})"\n'
        f'{keys["id_key"]}={layout.compatible}\n{keys["version_key"]}={version}\nVERSION_ID={version}\n')
    options = layout.image["module_options"]
    (etc / "modprobe.d").mkdir(exist_ok=True)
    (etc / "modprobe.d/board.conf").write_text("".join(f"options {line}\n" for line in options))
    (etc / "modules-load.d").mkdir(exist_ok=True)
    (etc / "modules-load.d/board.conf").write_text("".join(f"{name}\n" for name in layout.image["modules_load"]))
    watchdog = layout.board["watchdog"]["timeout_max_s"]
    if watchdog < 15:
        conf = etc / "systemd/system.conf.d/picket.conf"
        conf.write_text(conf.read_text().replace("RuntimeWatchdogSec=15s", f"RuntimeWatchdogSec={watchdog}s"))


def add_certificates(root, source):
    """Debian's list of authorities, as one file."""
    files = sorted(source.rglob("*.crt"))
    (root / "etc/ssl/certs").mkdir(parents=True, exist_ok=True)
    (root / "etc/ssl/certs/ca-certificates.crt").write_text("".join(file.read_text() for file in files))


def check_libraries(root):
    """Every library that a program or library names must be there."""
    have = {path.name for folder in (LIBRARIES, f"{LIBRARIES}/systemd", "usr/lib/systemd", "usr/lib") for path in (root / folder).glob("*.so*")}
    missing = {}
    for path in sorted((root / "usr").rglob("*")):
        if path.is_symlink() or not path.is_file() or stat.S_IMODE(path.stat().st_mode) & 0o400 == 0:
            continue
        with open(path, "rb") as file:
            if file.read(4) != b"\x7fELF":
                continue
        told = subprocess.run(["aarch64-linux-gnu-readelf", "-d", path], capture_output=True, text=True, check=False).stdout
        for name in re.findall(r"\(NEEDED\).*\[(.*)\]", told):
            if name not in have:
                missing.setdefault(name, []).append(str(path.relative_to(root)))
    if missing:
        told = "; ".join(f"{name} (of {', '.join(users[:3])})" for name, users in sorted(missing.items()))
        raise debs.Failed(f"the root lacks shared libraries: {told}\n  add their packages to board/packages/image-root.txt")


def assemble(layout, files, wanted, ffmpeg, picket, version, keyring, dev, work):
    """The tree in work/root, all but the kernel; the build's own user owns it, the image says root."""
    root = work / "root"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    unpack(files, wanted, root, work)
    add_tree(ffmpeg, root)
    add_certificates(root, root / "usr/share/ca-certificates")
    trim(root)
    reorder(root)
    shutil.rmtree(root / "var", ignore_errors=True)
    for name in FOLDERS:
        (root / name).mkdir(parents=True, exist_ok=True)
    stage = work / "stage"
    shutil.rmtree(stage, ignore_errors=True)
    add_picket(root, picket, stage)
    # The image has a safer grub-editenv of its own, which calls Debian's.
    shutil.move(root / "usr/bin/grub-editenv", root / "usr/lib/picket/grub-editenv")
    for source in (BOARD / "common/files", HERE / "files", *([HERE / "files-dev"] if dev else [])):
        add_tree(source, root)
    add_busybox(root)
    configure(root, layout, version, keyring)
    enable(root, dev)
    check_libraries(root)
    return root
