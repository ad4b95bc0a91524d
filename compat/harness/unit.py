"""tuning/leveret.service as systemd reads it, as far as the checks need it: settings, limits, system calls."""

import ctypes
import os
import re
import resource
import subprocess

from leveret import ROOT, Failed

UNIT = os.path.join(ROOT, "tuning", "leveret.service")

# Suffixes of LimitXxx= (systemd.exec(5)): bytes to the base of 1024.
_SUFFIX = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
# Limits by their names in the unit, in the resource module and in /proc/PID/limits.
LIMITS = {
    "LimitMEMLOCK": ("RLIMIT_MEMLOCK", "Max locked memory"),
    "LimitNOFILE": ("RLIMIT_NOFILE", "Max open files"),
    "LimitCORE": ("RLIMIT_CORE", "Max core file size"),
}


def read(path=UNIT):
    """Every setting of [Service] with its values in order; an empty value takes those before it away."""
    values, section = {}, ""
    text = open(path).read().replace("\\\n", " ")
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("["):
            section = line
        elif section == "[Service]" and line and line[0] not in "#;":
            key, value = line.split("=", 1)
            values.setdefault(key, [])
            values[key] = values[key] + [value] if value else [""]
    return values


def number(value):
    match = re.fullmatch(r"(\d+)([KMGT]?)", value)
    if not match:
        raise Failed(f"a limit that this check does not read: {value}")
    return int(match[1]) * _SUFFIX[match[2]]


def limits(unit):
    """The unit's limits; a limit that this module does not know fails the check."""
    found = {}
    for key, values in unit.items():
        if key.startswith("Limit"):
            if key not in LIMITS:
                raise Failed(f"{key} is not checked: add it to compat/harness/unit.py")
            found[key] = number(values[-1])
    return found


def grantable(wanted):
    """Those limits as far as this machine lets them be raised (a container without CAP_SYS_RESOURCE does not): a
    lower one is the harder test. Says which are lower."""
    granted, lower = {}, []
    for key, value in wanted.items():
        name = LIMITS[key][0]
        hard = resource.getrlimit(getattr(resource, name))[1]
        done = subprocess.run(["prlimit", f"--{name[7:].lower()}={value}:{value}", "true"], capture_output=True)
        granted[key] = value if done.returncode == 0 else hard
        if granted[key] != value:
            lower.append(f"{key}={value} cannot be had here, {hard} it is")
    return granted, lower


def seconds(value):
    match = re.fullmatch(r"(\d+)(s|min|)", value)
    return int(match[1]) * (60 if match[2] == "min" else 1)


def cpus(value):
    """CPUs of a list such as 0-3,6."""
    found = set()
    for part in value.split(","):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found


def _expand(name):
    """System calls of a set such as @system-service, as this machine's systemd has it."""
    if not name.startswith("@"):
        return {name}
    done = subprocess.run(["systemd-analyze", "syscall-filter", "--no-pager", name], capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"systemd-analyze syscall-filter {name}: {done.stderr}")
    calls = set()
    for line in done.stdout.splitlines()[1:]:
        word = line.strip()
        if word and not word.startswith("#"):
            calls |= _expand(word)
    return calls


def system_calls(unit):
    """The system calls that the unit allows."""
    allowed = set()
    for value in unit["SystemCallFilter"]:
        names = value.lstrip("~").split()
        calls = set().union(*(_expand(name) for name in names))
        allowed = allowed - calls if value.startswith("~") else allowed | calls
    # What systemd adds to every list of allowed calls.
    return allowed | _expand("@default")


class Filter:
    """A seccomp filter that allows these system calls and answers EPERM to others. Made before the fork, loaded
    after it, which needs no privilege as no new ones can be had afterwards."""

    def __init__(self, calls):
        self.lib = ctypes.CDLL("libseccomp.so.2", use_errno=True)
        self.lib.seccomp_init.restype = ctypes.c_void_p
        self.lib.seccomp_init.argtypes = [ctypes.c_uint32]
        self.lib.seccomp_load.argtypes = [ctypes.c_void_p]
        self.lib.seccomp_rule_add.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint]
        self.lib.seccomp_syscall_resolve_name.argtypes = [ctypes.c_char_p]
        refuse, allow = 0x00050000 | 1, 0x7FFF0000
        self.context = self.lib.seccomp_init(refuse)
        for call in calls:
            number = self.lib.seccomp_syscall_resolve_name(call.encode())
            # Negative: another architecture's, or unknown to this libseccomp, as systemd passes over them too.
            if number >= 0 and self.lib.seccomp_rule_add(self.context, allow, number, 0) != 0:
                raise Failed(f"seccomp_rule_add {call}")

    def load(self):
        if self.lib.seccomp_load(self.context) != 0:
            os._exit(99)
