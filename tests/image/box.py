"""One appliance in the emulator: its disk, its console, its power switch."""
import fcntl
import os
import queue
import re
import resource
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

MEMORY_MIB = 512
# Guest time follows executed instructions, one each 2 ns, while the guest computes, and the wall clock while it sleeps: what a start takes does
# not depend on how busy this machine is, and a broker on the host sees no jumps. One core at 500 million instructions each second is slower
# than any box that Picket is for.
TIMING = ("-accel", "tcg,thread=single,tb-size=512", "-icount", "shift=1,sleep=on", "-cpu", "cortex-a72", "-smp", "1")
# What the machine is made of beside its processor: `virtio` is the profile qemu-arm64's, the other what a board with UEFI may have.
MAC = "52:54:00:70:6b:01"
VIRTIO = ("-device", "virtio-blk-pci,drive=d0", "-device", "virtio-rng-pci", "-device", f"virtio-net-pci,netdev=n0,romfile=,mac={MAC}",
          "-device", "i6300esb", "-action", "watchdog=reset")
PHYSICAL = ("-device", "nvme,drive=d0,serial=picket", "-device", f"e1000e,netdev=n0,romfile=,mac={MAC}")
UUID = "7069636b-6574-4d00-8000-000000000001"
MIB = 1 << 20
CONTROL = re.compile(r"\x1b\[[0-9;=?]*[A-Za-z]|\r")


class Failed(Exception):
    """The box did not do what it must; the text says what."""


def own_network():
    """Moves this process into a network namespace with a loopback and nothing else, so that no guest reaches the world."""
    flags = os.CLONE_NEWNET if hasattr(os, "CLONE_NEWNET") else 0x40000000
    unshare = getattr(os, "unshare", None)
    if unshare is None:  # before Python 3.12
        import ctypes
        if ctypes.CDLL(None, use_errno=True).unshare(flags):
            raise Failed(f"no network namespace of our own: {os.strerror(ctypes.get_errno())} (root is needed for it)")
    else:
        unshare(flags)
    with socket.socket() as plain:
        fcntl.ioctl(plain, 0x8914, struct.pack("16sH14s", b"lo", 0x1 | 0x40, b""))  # SIOCSIFFLAGS: up, running


def offset_of(disk, number):
    """Bytes at which partition `number` of a GPT disk begins (entries of 128 bytes from LBA 2 on)."""
    with open(disk, "rb") as file:
        file.seek(1024 + 128 * (number - 1) + 32)
        return struct.unpack("<Q", file.read(8))[0] * 512


class Box:
    """A disk made from an image, and the machine that runs it."""

    def __init__(self, emulator, image, folder, disk_mib=700, devices=VIRTIO):
        self.emulator, self.folder = emulator, Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.disk, self.variables = self.folder / "disk.img", self.folder / "vars.fd"
        if image:
            subprocess.run(["cp", "--sparse=always", str(image), str(self.disk)], check=True)
            os.truncate(self.disk, max(disk_mib * MIB, self.disk.stat().st_size))
            shutil.copyfile(emulator.variables, self.variables)
        self.child, self.reader, self.starts = None, None, 0
        self.cpu_s, self.devices = 0.0, devices

    # What lies on the disk, while the box is off.

    def boot_first(self, environment, root):
        """The boot loader's environment, and the image in the second slot."""
        esp, file = f"{self.disk}@@{offset_of(self.disk, 1)}", self.folder / "grubenv"
        file.write_bytes(f"# GRUB Environment Block\n{environment}".encode().ljust(1024, b"#"))
        for name in ("grubenv", "grubenv.2"):
            subprocess.run(["mcopy", "-o", "-i", esp, str(file), f"::grub/{name}"], check=True, env=dict(os.environ, MTOOLS_SKIP_CHECK="1"))
        with open(self.disk, "r+b") as disk:
            disk.seek(offset_of(self.disk, 3))
            disk.write(root)

    def card(self):
        return f"{self.disk}@@{offset_of(self.disk, 4)}"

    def card_put(self, name, text):
        file = self.folder / "card-file"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        if "/" in name:
            subprocess.run(["mmd", "-D", "s", "-i", self.card(), f"::{name.rpartition('/')[0]}"], capture_output=True, check=False)
        subprocess.run(["mcopy", "-o", "-i", self.card(), str(file), f"::{name}"], check=True, env=dict(os.environ, MTOOLS_SKIP_CHECK="1"))

    def card_get(self, name):
        """None when it is not there."""
        done = subprocess.run(["mtype", "-i", self.card(), f"::{name}"], capture_output=True, check=False, env=dict(os.environ, MTOOLS_SKIP_CHECK="1"))
        return done.stdout.decode(errors="replace") if done.returncode == 0 else None

    # Power.

    def on(self, memory_mib=MEMORY_MIB):
        self.lines, self.news, self.starts = [], queue.Queue(), self.starts + 1
        emulator = self.emulator
        command = ["nice", "-n", "5", str(emulator.program), *emulator.data(), "-M", "virt,gic-version=3", *TIMING, "-m", str(memory_mib), "-uuid", UUID,
                   "-nodefaults", "-no-user-config", "-display", "none", "-monitor", "none", "-serial", "stdio",
                   "-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={emulator.firmware}", "-drive", f"if=pflash,format=raw,unit=1,file={self.variables}",
                   "-drive", f"if=none,id=d0,format=raw,file={self.disk}", "-netdev", "user,id=n0", *self.devices]
        self.log = open(self.folder / f"console-{self.starts}.log", "wb")
        self.child = subprocess.Popen(command, env=emulator.environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                      start_new_session=True)
        self.reader = threading.Thread(target=self.read, args=(self.child, self.log, self.news), daemon=True)
        self.reader.start()
        return self

    def read(self, child, log, news):
        rest = b""
        while data := os.read(child.stdout.fileno(), 65536):
            log.write(data)
            log.flush()
            *whole, rest = (rest + data).split(b"\n")
            for line in whole:
                text = CONTROL.sub("", line.decode(errors="replace"))
                self.lines.append(text)
                news.put(text)
        news.put(None)

    def is_on(self):
        return self.child is not None and self.child.poll() is None

    def cut(self):
        """As if somebody pulled the plug."""
        if self.child is None:
            return
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        if self.child.poll() is None:
            os.kill(self.child.pid, signal.SIGKILL)
        self.child.wait()
        self.reader.join(5)
        self.child.stdin.close()
        self.child.stdout.close()
        self.log.close()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.cpu_s += after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        self.child = None

    def wait_line(self, part, timeout_s):
        """The next line of the console that has `part`; raises [`Failed`] with the console's end."""
        until = time.monotonic() + timeout_s
        while True:
            try:
                line = self.news.get(timeout=max(until - time.monotonic(), 0.01))
            except queue.Empty:
                line = None
            if line is None:
                tail = "\n    ".join(self.lines[-12:])
                raise Failed(f"{part!r} did not come on the console within {timeout_s} s; its end:\n    {tail}")
            if part in line:
                return line

    def keys(self, data):
        """As they come from a keyboard, without a line's end."""
        self.child.stdin.write(data)
        self.child.stdin.flush()

    def has_drawn(self, part):
        """Whether the console had `part`, also in a picture that has no lines."""
        return part.encode() in Path(self.log.name).read_bytes()

    # The shell of the development image.

    def type(self, text):
        self.keys(f"{text}\n".encode())

    def wait_shell(self, timeout_s=240):
        self.wait_line("built-in shell", timeout_s)

    def shell(self, command, timeout_s=120):
        """(exit code, output) of a command line on the box's console."""
        while not self.news.empty():
            self.news.get()
        mark = f"{time.monotonic_ns() % 10**9}"
        # Computed by the shell, so that the echo of what was typed is no answer.
        typed = f"\nstty -echo; echo \"@$((1+1))b{mark}\"; ( {command} ) 2>&1; echo \"@$((1+1))e{mark} $?\""
        self.type(typed)
        self.wait_line(f"@2b{mark}", timeout_s)
        out, until = [], time.monotonic() + timeout_s
        while True:
            try:
                line = self.news.get(timeout=max(until - time.monotonic(), 0.01))
            except queue.Empty:
                line = None
            if line is None:
                raise Failed(f"no end of {command!r} on the box within {timeout_s} s: {out[-5:]}")
            before, found, after = line.partition(f"@2e{mark} ")
            if found:
                if before and not before.startswith("#"):
                    out.append(before)
                return int(after.split()[0]), "\n".join(text.removeprefix("# ") for text in out)
            out.append(line)

    def must(self, command, timeout_s=120):
        code, out = self.shell(command, timeout_s)
        if code:
            raise Failed(f"{command!r} on the box: exit code {code}: {out[-400:]}")
        return out
