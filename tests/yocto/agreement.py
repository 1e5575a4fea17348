"""What the layers and the image of board/ share: partitions, slots, folders, compatible strings, RAUC, units, users, FFmpeg."""

import pathlib
import re
import shlex
import shutil
import subprocess
import tempfile
import tomllib

from metadata import LAYERS, MACHINES, ROOT, Metadata

COMMON = ROOT / "board/common"
TYPES = {"ESP": "C12A7328-F81F-11D2-BA4B-00A0C93EC93B", "slot": "B921B045-1DF0-41C3-AF44-4C6F280D3FAE",
         "PICKET": "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7", "data": "0FC63DAF-8483-4772-8E79-3D69D8477DE4"}
# Folders of board/: names that compatible strings are made of.
BOARDS = {"qemu-arm64", "raspberrypi4", "imx8mp", "rk3588"}
APPLIANCE = LAYERS["picket"] / "recipes-core/picket-appliance/files"


def layout() -> dict:
    return tomllib.loads((COMMON / "layout.toml").read_text())


def wks_parts(metadata: Metadata, machine: str, image: str) -> list[dict[str, str]]:
    """The `part` lines of the wks as BitBake expands it for an image, as switches and values."""
    d = metadata.parse(LAYERS["picket"] / f"recipes-core/images/{image}.bb", metadata.configuration(machine, ("picket/development",)))
    text = d.expand((LAYERS["picket"] / "files/wic" / d.getVar("WKS_FILE")).read_text())
    parts = []
    for line in text.splitlines():
        if not line.startswith("part "):
            continue
        words, switches = shlex.split(line)[1:], {}
        while words:
            word = words.pop(0)
            if word.startswith("--"):
                key, _, value = word.partition("=")
                if not value and words and not words[0].startswith("--"):
                    value = words.pop(0)
                switches[key] = value
        if "${" in line:
            raise ValueError(f"{machine}: not all of it is expanded: {line}")
        parts.append(switches)
    return parts


def check_partitions(metadata: Metadata) -> list[str]:
    """The wks of every machine and image: names, order, types, sizes, room for the boot loader."""
    faults, plan = [], layout()
    names, slots = plan["partitions"], [slot["partition"] for slot in plan["slots"]]
    order = [names["esp"], *slots, names["config"], names["data"]]
    for machine in MACHINES:
        for image in ("picket-image", "picket-image-dev"):
            where = f"{image} on {machine}"
            parts = wks_parts(metadata, machine, image)
            table = [part for part in parts if "--no-table" not in part]
            if [part.get("--part-name") for part in table] != order:
                faults.append(f"{where}: partitions {[part.get('--part-name') for part in table]}, board/common says {order}")
                continue
            for part in table:
                name = part["--part-name"]
                kind = "slot" if name in slots else name
                if part.get("--part-type") != TYPES[kind]:
                    faults.append(f"{where}: {name} has type {part.get('--part-type')} instead of {TYPES[kind]}")
                size = plan["sizes_mib"]["slot"] * (2 if image.endswith("dev") else 1)
                if kind == "slot" and part.get("--fixed-size") != f"{size}M":
                    faults.append(f"{where}: {name} has {part.get('--fixed-size')}, not {size}M")
            if table[3].get("--fixed-size") != f"{plan['sizes_mib']['config']}M" or table[3].get("--label") != names["config"]:
                faults.append(f"{where}: {names['config']} has another size or label than board/common says")
            if table[1].get("--sourceparams") != f"file=/deploy/{image}-{machine}.squashfs":
                faults.append(f"{where}: the first slot is not the image's squashfs but {table[1].get('--sourceparams')}")
            loaders = [int(part["--align"]) for part in parts if "--no-table" in part]
            # 34 sectors hold the table; the first partition is aligned to 8 MiB after the loader.
            if any(at < 17 for at in loaders):
                faults.append(f"{where}: the boot loader at {loaders} KiB lies in the partition table")
    return faults


def rauc_conf(metadata: Metadata, machine: str) -> str:
    """system.conf as rauc-conf's task would write it, run by a shell."""
    append = LAYERS["picket"] / "dynamic-layers/rauc/recipes-core/rauc/rauc-conf.bbappend"
    with tempfile.TemporaryDirectory() as place:
        d = metadata.configuration(machine)
        d.setVar("UNPACKDIR", place)
        d = metadata.parse(append, d)
        (pathlib.Path(place) / "system.conf.in").write_text((COMMON / "system.conf.in").read_text())
        body = 'bbfatal() { echo "$*" >&2; exit 1; }\n' + d.getVar("do_install")
        done = subprocess.run(["sh", "-eu", "-c", body], capture_output=True, text=True)
        if done.returncode:
            raise ValueError(f"{machine}: rauc-conf's do_install: {done.stderr.strip()}")
        return (pathlib.Path(place) / "system.conf").read_text()


def check_updates(metadata: Metadata) -> list[str]:
    """system.conf, bundle, boot script and environment of every machine."""
    faults, plan = [], layout()
    for machine in MACHINES:
        conf = rauc_conf(metadata, machine)
        d = metadata.configuration(machine)
        board = d.getVar("PICKET_BOARD")
        compatible = plan["compatible_prefix"] + board
        for line in [f"compatible={compatible}", "bootloader=uboot", *(f"device=/dev/disk/by-partlabel/{slot['partition']}" for slot in plan["slots"]),
                     *(f"bootname={slot['bootname']}" for slot in plan["slots"]), f"statusfile={plan['data']['rauc']}/status"]:
            if line not in conf.splitlines():
                faults.append(f"{machine}: system.conf lacks {line}")
        if board not in BOARDS:
            faults.append(f"{machine}: PICKET_BOARD {board} is no name of a board")
        bundle = metadata.parse(LAYERS["picket"] / "dynamic-layers/rauc/recipes-core/bundles/picket-bundle_1.0.bb", metadata.configuration(machine))
        told = {"RAUC_BUNDLE_COMPATIBLE": compatible, "RAUC_BUNDLE_FORMAT": "verity", "RAUC_BUNDLE_SLOTS": "rootfs", "RAUC_SLOT_rootfs": "picket-image"}
        faults += [f"{machine}: the bundle's {key} is {bundle.getVar(key)}, not {value}" for key, value in told.items() if bundle.getVar(key) != value]
        image = metadata.parse(LAYERS["picket"] / "recipes-core/images/picket-image.bb", metadata.configuration(machine))
        if bundle.getVarFlag("RAUC_SLOT_rootfs", "fstype") not in image.getVar("IMAGE_FSTYPES").split():
            faults.append(f"{machine}: the bundle wants a {bundle.getVarFlag('RAUC_SLOT_rootfs', 'fstype')}, which the image does not make")
        if d.getVar("IMAGE_ID:pn-os-release") != "${PICKET_COMPATIBLE}" and d.expand(d.getVar("IMAGE_ID:pn-os-release")) != compatible:
            faults.append(f"{machine}: IMAGE_ID of os-release is not {compatible}")
    script = (LAYERS["picket-bsp"] / "recipes-bsp/picket-boot/files/boot.cmd.in").read_text()
    for slot in plan["slots"]:
        if f"BOOT_{slot['bootname']}_LEFT" not in script or f"picket_name {slot['partition']}" not in script:
            faults.append(f"boot.cmd.in does not know slot {slot['bootname']} on {slot['partition']}")
    if f"${{devnum}} {plan['partitions']['esp']} picket_part" not in script:
        faults.append(f"boot.cmd.in does not read its tries from {plan['partitions']['esp']}")
    environment = (LAYERS["picket-bsp"] / "recipes-bsp/picket-boot/files/fw_env.config").read_text().splitlines()[-1].split()
    config = (LAYERS["picket-bsp"] / "recipes-bsp/u-boot/files/picket.cfg").read_text()
    if f"CONFIG_ENV_SIZE={environment[2]}" not in config or f'CONFIG_ENV_FAT_FILE="{pathlib.Path(environment[0]).name}"' not in config:
        faults.append("fw_env.config and U-Boot's picket.cfg have another file or size for the environment")
    return faults


def check_data() -> list[str]:
    """Folders, mount units and identity of picket-init against board/common and board/image."""
    faults, plan = [], layout()
    init = (APPLIANCE / "picket-init").read_text()
    wanted = {f'"$root{plan["data"]["var"]}" "$root/var"': "/var", f'"$root{plan["data"]["config"]}" "$root/etc/picket"': "/etc/picket",
              f"identity=$root{plan['data']['identity']}/machine-id": "the identity", f"PARTNAME=$1": "partitions by name",
              f"device_of {plan['partitions']['data']}": "the data partition"}
    faults += [f"picket-init does not have {text} for {what}" for text, what in wanted.items() if text not in init]
    folders = re.search(r"^for folder in (.*); do mkdir", init, re.M)[1].split()
    made = {f"{plan['data']['mount']}/{folder}" for folder in folders}
    told = {value for key, value in plan["data"].items() if key != "mount"}
    if made != told:
        faults.append(f"picket-init makes {sorted(made)}, board/common says {sorted(told)}")
    board = ROOT / "board/image/initramfs/init"
    if board.exists():
        rule = re.search(r"printf 'picket %s'.*cut -c1-32", board.read_text())
        if not rule or rule[0] not in init:
            faults.append("picket-init and board/image/initramfs/init make the identity by other rules")
    fstab = (ROOT / "board/image/files/etc/fstab").read_text()
    image = (LAYERS["picket"] / "recipes-core/images/picket-image.inc").read_text()
    for name, where in ((plan["partitions"]["esp"], "/boot/efi"), (plan["partitions"]["config"], "/boot/picket")):
        if not re.search(rf"^(PARTLABEL=|/dev/disk/by-partlabel/){name}\s+{where}\s", fstab, re.M) or f"${{IMAGE_ROOTFS}}{where}" not in image:
            faults.append(f"{name} is not mounted on {where}, or the image has no folder for it")
    return faults


def check_appliance(metadata: Metadata) -> list[str]:
    """The appliance's recipe, its do_install run by a shell: the units of board/, the same of them started."""
    recipe = LAYERS["picket"] / "recipes-core/picket-appliance/picket-appliance_1.0.bb"
    with tempfile.TemporaryDirectory() as place:
        d = metadata.configuration()
        d.setVar("UNPACKDIR", f"{place}/sources")
        d.setVar("D", f"{place}/image")
        d = metadata.parse(recipe, d)
        for uri in d.getVar("SRC_URI").split():
            name = uri.removeprefix("file://")
            source = next(path for path in (ROOT / "board" / name, APPLIANCE / name) if path.exists())
            target = pathlib.Path(place, "sources", name)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
        body = 'bbfatal() { echo "$*" >&2; exit 1; }\n' + d.getVar("do_install")
        done = subprocess.run(["sh", "-eu", "-c", body], capture_output=True, text=True)
        if done.returncode:
            return [f"do_install: {done.stderr.strip()}"]
        installed = {str(path.relative_to(f"{place}/image")) for path in pathlib.Path(place, "image").rglob("*") if path.is_file()}
        started = {path.name for path in pathlib.Path(place, "image").rglob("*.wants/*") if path.resolve().exists()}
    faults = []
    common = ROOT / "board/common/files"
    faults += [f"{path.relative_to(common)} of board/common is not in the package" for path in common.rglob("*")
               if path.is_file() and str(path.relative_to(common)) not in installed]
    theirs = re.search(r'"multi-user.target":\s*((?:"[^"]*"\s*)+)', (ROOT / "board/image/root.py").read_text())
    wanted = {unit for unit in theirs[1].replace('"', " ").split() if (common / "usr/lib/systemd/system" / unit).exists()} if theirs else set()
    if started != wanted:
        faults.append(f"started are {sorted(started)}, in the image of board/ {sorted(wanted)}")
    return faults


def check_user(metadata: Metadata) -> list[str]:
    """The user of the recipe, of the static tables and of systemd/picket.sysusers."""
    faults = []
    sysusers = (ROOT / "systemd/picket.sysusers").read_text()
    d = metadata.parse(next((LAYERS["picket"] / "recipes-picket/picket").glob("picket_*.bb")), metadata.configuration())
    said = d.getVar("USERADD_PARAM:picket") or d.getVar("USERADD_PARAM:${PN}")
    said = d.expand(said)
    user = re.search(r'^u (\w+) \S+ "([^"]*)" (\S+) (\S+)$', sysusers, re.M)
    groups = ",".join(re.findall(rf"^m {user[1]} (\w+)$", sysusers, re.M))
    for part in (f"--groups {groups}", f"--home-dir {user[3]}", f"--comment {user[2]}", f"--gid {user[1]}"):
        if part not in said:
            faults.append(f"USERADD_PARAM lacks '{part}' of systemd/picket.sysusers")
    numbers = (LAYERS["picket"] / "files/picket-passwd").read_text().split(":")[2:4]
    board = ROOT / "board/image/files/etc/passwd"
    if board.exists():
        line = re.search(rf"^{user[1]}:.*$", board.read_text(), re.M)
        if not line or line[0].split(":")[2:4] != numbers:
            faults.append(f"files/picket-passwd has {numbers}, board/image another number for {user[1]}")
    if not (LAYERS["picket"] / "files/picket-group").read_text().startswith(f"{user[1]}:x:{numbers[1]}:"):
        faults.append("files/picket-group and files/picket-passwd disagree")
    return faults


def check_ffmpeg(metadata: Metadata) -> list[str]:
    """The fragments' FFmpeg against board/image's, and no part that would take the LGPL away."""
    faults = []
    d = metadata.configuration("qemuarm64", ("picket/ffmpeg-lean", "picket/ffmpeg-srt", "picket/ffmpeg-tls"))
    options = d.getVar("EXTRA_FFCONF:pn-ffmpeg").split()
    config = d.getVar("PACKAGECONFIG:pn-ffmpeg").split()
    for bad in ("--enable-gpl", "--enable-nonfree", "--enable-version3", "--enable-openssl"):
        if bad in options:
            faults.append(f"{bad} changes the licence of FFmpeg")
    faults += [f"PACKAGECONFIG of FFmpeg has {name}" for name in ("gpl", "openssl", "x264", "x265", "fdk-aac") if name in config]
    board = ROOT / "board/image/ffmpeg.py"
    if board.exists():
        text = board.read_text()
        for kind, name in {"demuxer": "DEMUXERS", "decoder": "DECODERS", "parser": "PARSERS", "bsf": "FILTERS", "protocol": "PROTOCOLS"}.items():
            found = re.search(rf'^{name} = \(?((?:\s*"[^"]*")+)', text, re.M)
            theirs = set("".join(re.findall(r'"([^"]*)"', found[1])).split()) if found else set()
            ours = {option.split("=")[1] for option in options if option.startswith(f"--enable-{kind}=")}
            if theirs != ours:
                faults.append(f"{kind}s: only in board/image/ffmpeg.py {sorted(theirs - ours)}, only in the fragments {sorted(ours - theirs)}")
    return faults
