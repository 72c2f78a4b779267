"""Programs that reach for what is not theirs: the network, the runner, the kernel, the host."""

import pytest

pytestmark = pytest.mark.docker

RIGHT = "def f(x):\n    return x + 1\n"
LIBC = "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\n"
FAILS = "if result < 0: raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))"

ATTACKS = {
    "the network": ("import socket\nsocket.create_connection(('1.1.1.1', 80), 1)", "OSError"),
    "the network, version 6": (
        "import socket\nsocket.create_connection(('2606:4700::1111', 80), 1)",
        "OSError",
    ),
    "a datagram": ("import socket\nsocket.socket(2, 2).sendto(b'x', ('8.8.8.8', 53))", "OSError"),
    "a name": ("import socket\nsocket.getaddrinfo('example.com', 80)", "gaierror"),
    "raw packets": ("import socket\nsocket.socket(socket.AF_PACKET, socket.SOCK_RAW, 3)", "PermissionError"),
    "raw internet packets": ("import socket\nsocket.socket(2, socket.SOCK_RAW, 1)", "PermissionError"),
    "the metadata service": (
        "import urllib.request\nurllib.request.urlopen('http://169.254.169.254/', timeout=1)",
        "URLError",
    ),
    "the engine": (
        "import socket\nsocket.socket(socket.AF_UNIX).connect('/var/run/docker.sock')",
        "FileNotFoundError",
    ),
    "a key in the environment": ("import os\nos.environ['OPENAI_API_KEY']", "KeyError"),
    "the runner's environment": ("open('/proc/1/environ').read()", "PermissionError"),
    "the runner's memory": ("open('/proc/1/mem', 'rb')", "PermissionError"),
    "its own memory through /proc": ("open('/proc/self/mem', 'r+b')", "PermissionError"),
    "the runner's files": ("import os\nos.listdir('/proc/1/fd')", "PermissionError"),
    "the runner's root": ("import os\nos.listdir('/proc/1/root')", "PermissionError"),
    "killing the runner": ("import os\nos.kill(1, 9)", "PermissionError"),
    "stopping the runner": ("import os, signal\nos.kill(os.getppid(), signal.SIGSTOP)", "PermissionError"),
    "tracing the runner": (LIBC + "result = libc.ptrace(16, 1, 0, 0)\n" + FAILS, "PermissionError"),
    "becoming root": ("import os\nos.setuid(0)", "PermissionError"),
    "becoming another": ("import os\nos.setresuid(100001, 100001, 100001)", "PermissionError"),
    "a group": ("import os\nos.setgroups([0])", "PermissionError"),
    "a device": ("import os, stat\nos.mknod('d', stat.S_IFBLK | 0o666, os.makedev(8, 0))", "PermissionError"),
    "a mount": (LIBC + "result = libc.mount(b'x', b'/tmp', b'tmpfs', 0, None)\n" + FAILS, "PermissionError"),
    "a user namespace": (LIBC + "result = libc.unshare(0x10000000)\n" + FAILS, "PermissionError"),
    "another root": ("import os\nos.chroot('/tmp')", "PermissionError"),
    "the keyring": (LIBC + "result = libc.syscall(250, 0, -3, 1)\n" + FAILS, "PermissionError"),
    "the clock": ("import time\ntime.clock_settime(time.CLOCK_REALTIME, 0)", "PermissionError"),
    "a higher priority": ("import os\nos.nice(-5)", "PermissionError"),
    "more memory": (
        "import resource\nresource.setrlimit(resource.RLIMIT_DATA, (1 << 40, 1 << 40))",
        "ValueError",
    ),
    "a safe place from the OOM killer": (
        "open('/proc/self/oom_score_adj', 'w').write('-1000')",
        "PermissionError",
    ),
    "the image": ("open('/usr/local/bin/python3', 'r+b')", "PermissionError"),
    "a place in the root": ("open('/x', 'w')", "OSError"),
    "the accounts": ("open('/etc/passwd', 'a')", "PermissionError"),
    "the standard library": ("import os\nos.unlink(os.__file__)", "OSError"),
    "a place in /dev": ("open('/dev/x', 'w')", "PermissionError"),
    "shared memory's folder": ("open('/dev/shm/x', 'w')", "FileNotFoundError"),
    "a kernel setting": ("open('/proc/sys/kernel/core_pattern', 'w')", ("OSError", "PermissionError")),
    "the machine's reset": (
        "open('/proc/sysrq-trigger', 'w')",
        ("OSError", "PermissionError", "FileNotFoundError"),
    ),
    "the cgroup": (
        "import glob\nfor path in glob.glob('/sys/fs/cgroup/**/*limit*', recursive=True)"
        " + ['/sys/fs/cgroup/memory.max']: open(path, 'w')",
        ("OSError", "PermissionError"),
    ),
    "an interface": (
        "import fcntl, socket, struct\ns = socket.socket(2, 2)\n"
        "fcntl.ioctl(s, 0x8914, struct.pack('16sh14x', b'lo', 0))",
        "PermissionError",
    ),
    "the routes": (
        "import socket\ns = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)\n"
        "s.send(bytes.fromhex('1c000000180005060100000000000000') + bytes(12))\n"
        "code = int.from_bytes(s.recv(4096)[16:20], 'little', signed=True)\n"
        "raise OSError(-code, 'netlink')",
        "PermissionError",
    ),
    "a neighbour on the host": (
        "import socket\nsocket.socket(socket.AF_VSOCK).connect((2, 1))",
        ("OSError", "PermissionError", "ConnectionResetError", "TimeoutError"),
    ),
    "an abstract socket of the host": (
        "import socket\nsocket.socket(socket.AF_UNIX).connect('\\0/containerd-shim')",
        "ConnectionRefusedError",
    ),
    "swap": (LIBC + "result = libc.swapon(b'/tmp', 0)\n" + FAILS, "PermissionError"),
    "the machine's end": (LIBC + "result = libc.reboot(0x1234567)\n" + FAILS, "PermissionError"),
    "another namespace": (
        LIBC + "result = libc.setns(os.open('/proc/self/ns/net', 0), 0)\n" + FAILS,
        "PermissionError",
    ),
    "the host's name": ("import socket\nsocket.sethostname('x')", "PermissionError"),
    "the runner's memory, from afar": (
        LIBC + "class V(ctypes.Structure): _fields_ = [('at', ctypes.c_void_p), ('n', ctypes.c_size_t)]\n"
        "here, there = V(ctypes.addressof(ctypes.create_string_buffer(8)), 8), V(4096, 8)\n"
        "result = libc.process_vm_readv(1, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)\n" + FAILS,
        "PermissionError",
    ),
    "the runner by a descriptor": (
        "import os, signal\nsignal.pidfd_send_signal(os.pidfd_open(1), signal.SIGKILL)",
        "PermissionError",
    ),
    "the ports": (LIBC + "result = libc.iopl(3)\n" + FAILS, "PermissionError"),
    "the kernel's memory": ("open('/dev/mem', 'rb')", "FileNotFoundError"),
    "the kernel's image": (
        "print(open('/proc/kcore', 'rb').read(1)[0])",
        ("PermissionError", "FileNotFoundError", "IndexError"),
    ),
    "the kernel's log": ("open('/dev/kmsg', 'rb')", "FileNotFoundError"),
    "the machine's devices": (
        "import os\nopen('/sys/kernel/uevent_seqnum').read()\nopen('/sys/kernel/profiling', 'w')",
        ("OSError", "PermissionError", "FileNotFoundError"),
    ),
    "the firmware": (
        "import os\nassert os.listdir('/sys/firmware')",
        ("AssertionError", "FileNotFoundError"),
    ),
    "the host's disks": (
        "import os\nfor name in os.listdir('/sys/block'): open('/dev/' + name, 'rb')\nopen('/dev/sda')",
        "FileNotFoundError",
    ),
    "more CPU time": (
        "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (999, 999))",
        "ValueError",
    ),
    "the real-time class": (
        "import os\nos.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))",
        "PermissionError",
    ),
    "running what it wrote": (
        "import os, shutil\nshutil.copy('/usr/local/bin/python3', 'p')\nos.chmod('p', 0o755)\n"
        "os.execv('./p', ['p'])",
        "PermissionError",
    ),
    "the folder of the next program": (
        "import os\nopen(f'/tmp/{int(os.path.basename(os.getcwd())) + 1}', 'w')\n",
        None,
    ),
    # The kernel says that it has, though there is only the judge, whom it must not touch, and the runner.
    "everyone it may kill": (
        "import os\nos.kill(-1, 9)\n",
        (None, "ProcessLookupError", "PermissionError"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_what_is_not_a_program_s_own_is_out_of_reach(name, verdict_on):
    source, expected = ATTACKS[name]
    names = (expected,) if isinstance(expected, (str, type(None))) else expected
    assert verdict_on(source + "\n" + RIGHT) in [
        f"fail:{name}" if name else "pass" for name in names
    ]
