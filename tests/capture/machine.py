"""The virtual machine: starts it, follows its console, ends it."""
import os
import queue
import resource
import shutil
import subprocess
import threading
import time
from pathlib import Path

MEMORY_MIB = 1536
KERNEL_LINE = "console=ttyS0 panic=-1 quiet loglevel=4 mitigations=off nokaslr random.trust_cpu=on"
# Guest time follows executed instructions, one each nanosecond, and jumps when the guest sleeps: a busy machine makes the run longer and
# loses no frame in it, and what a program costs is counted in instructions. It jumps too while the guest waits for a device of the
# host: so all the guest reads is in its memory, and what it found is written when nothing runs.
EMULATED = ("-accel", "tcg,thread=single,tb-size=512", "-icount", "shift=0,sleep=off", "-cpu", "max,-erms,-fsrm")
VIRTUAL = ("-accel", "kvm", "-cpu", "host")


def has_kvm():
    """Whether Debian's kernel can run under KVM here. A device node alone is no answer: some hosts' KVM wants a kernel of its own kind."""
    flags = Path("/proc/cpuinfo").read_text()
    return os.access("/dev/kvm", os.R_OK | os.W_OK) and (" vmx " in flags or " svm " in flags)


class Machine:
    """One run of the guest. Lines that begin with MARK reach [`Machine.next_mark`]."""

    def __init__(self, bed, initramfs, out, kvm):
        self.marks, self.lines = queue.Queue(), []
        data = (bed.unpacked / name for name in ("usr/share/qemu", "usr/share/seabios"))
        command = [shutil.which("nice") or "nice", str(bed.qemu), *(w for d in data for w in ("-L", str(d))), "-M", "q35", *(VIRTUAL if kvm else EMULATED),
                   "-smp", "1", "-m", str(MEMORY_MIB), "-nodefaults", "-no-user-config", "-display", "none", "-monitor", "none", "-nic", "none",
                   "-serial", "stdio", "-no-reboot", "-virtfs", f"local,path={out},mount_tag=host,security_model=none",
                   "-kernel", str(bed.kernel), "-initrd", str(initramfs), "-append", KERNEL_LINE]
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.used = used.ru_utime + used.ru_stime
        self.child = subprocess.Popen(command, env=bed.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                      start_new_session=True)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for raw in self.child.stdout:
            line = raw.decode(errors="replace").rstrip()
            self.lines.append(line)
            if line.startswith("MARK "):
                self.marks.put(line.split()[1:])
        self.marks.put(None)

    def next_mark(self, until):
        """The words of the next MARK line; None when the guest ended, TimeoutError when `until` (monotonic) has passed."""
        try:
            return self.marks.get(timeout=max(until - time.monotonic(), 0.0))
        except queue.Empty:
            raise TimeoutError from None

    def end(self):
        """Returns the processor seconds that it took."""
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(5)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        self.reader.join(5)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime - self.used
