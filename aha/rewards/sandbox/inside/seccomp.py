"""The system call filter: a classic BPF program, built here instruction by instruction.

Denied calls return EPERM (a program sees an ordinary error), `clone3` ENOSYS, so that libc falls
back to `clone`, whose flags a filter can read. Numbers of another architecture or of the x32 ABI
kill the process. What is left open is the ordinary surface of a computing program: memory, files,
pipes, threads, time.
"""

import ctypes
import struct

from aha.rewards.sandbox.inside import kernel

AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
LAST_KNOWN_CALL = 470

_COMMON = {  # numbers from 424 on are the same on both architectures
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427,
    "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432,
    "fspick": 433, "pidfd_getfd": 438, "process_madvise": 440, "mount_setattr": 442,
    "quotactl_fd": 443, "memfd_secret": 447, "process_mrelease": 448, "statmount": 457,
    "listmount": 458, "open_tree_attr": 467,
}  # fmt: skip

DENIED: dict[str, dict[str, int]] = {
    "x86_64": _COMMON | {
        # other processes, kernel facilities, tracing
        "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312,
        "perf_event_open": 298, "bpf": 321, "userfaultfd": 323, "personality": 135,
        "modify_ldt": 154, "uselib": 134, "_sysctl": 156, "lookup_dcookie": 212,
        "move_pages": 279, "migrate_pages": 256, "remap_file_pages": 216, "vmsplice": 278,
        # namespaces and mounts
        "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "unshare": 272,
        "setns": 308, "name_to_handle_at": 303, "open_by_handle_at": 304,
        "fanotify_init": 300, "fanotify_mark": 301, "quotactl": 179, "acct": 163,
        # keys, modules, machine state
        "add_key": 248, "request_key": 249, "keyctl": 250, "kexec_load": 246,
        "kexec_file_load": 320, "create_module": 174, "init_module": 175,
        "delete_module": 176, "get_kernel_syms": 177, "query_module": 178,
        "finit_module": 313, "swapon": 167, "swapoff": 168, "reboot": 169,
        "sethostname": 170, "setdomainname": 171, "iopl": 172, "ioperm": 173,
        "settimeofday": 164, "clock_settime": 227, "clock_adjtime": 305, "adjtimex": 159,
        "syslog": 103, "vhangup": 153, "nfsservctl": 180,
        # memory that no limit counts, and objects that outlive a process
        "memfd_create": 319, "shmget": 29, "shmat": 30, "shmctl": 31, "shmdt": 67,
        "semget": 64, "semop": 65, "semctl": 66, "semtimedop": 220, "msgget": 68,
        "msgsnd": 69, "msgrcv": 70, "msgctl": 71, "mq_open": 240, "mq_unlink": 241,
        "mq_timedsend": 242, "mq_timedreceive": 243, "mq_notify": 244, "mq_getsetattr": 245,
        # network
        "socket": 41, "connect": 42, "accept": 43, "bind": 49, "listen": 50, "accept4": 288,
    },
    "aarch64": _COMMON | {
        "ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271, "kcmp": 272,
        "perf_event_open": 241, "bpf": 280, "userfaultfd": 282, "personality": 92,
        "lookup_dcookie": 18, "move_pages": 239, "migrate_pages": 238,
        "remap_file_pages": 234, "vmsplice": 75,
        "mount": 40, "umount2": 39, "pivot_root": 41, "chroot": 51, "unshare": 97,
        "setns": 268, "name_to_handle_at": 264, "open_by_handle_at": 265,
        "fanotify_init": 262, "fanotify_mark": 263, "quotactl": 60, "acct": 89,
        "add_key": 217, "request_key": 218, "keyctl": 219, "kexec_load": 104,
        "kexec_file_load": 294, "init_module": 105, "delete_module": 106,
        "finit_module": 273, "swapon": 224, "swapoff": 225, "reboot": 142,
        "sethostname": 161, "setdomainname": 162, "settimeofday": 170,
        "clock_settime": 112, "clock_adjtime": 266, "adjtimex": 171, "syslog": 116,
        "vhangup": 58, "nfsservctl": 42,
        "memfd_create": 279, "shmget": 194, "shmctl": 195, "shmat": 196, "shmdt": 197,
        "semget": 190, "semctl": 191, "semtimedop": 192, "semop": 193, "msgget": 186,
        "msgctl": 187, "msgrcv": 188, "msgsnd": 189, "mq_open": 180, "mq_unlink": 181,
        "mq_timedsend": 182, "mq_timedreceive": 183, "mq_notify": 184, "mq_getsetattr": 185,
        "socket": 198, "bind": 200, "listen": 201, "accept": 202, "connect": 203,
        "accept4": 242,
    },
}  # fmt: skip

_CLONE = {"x86_64": 56, "aarch64": 220}
_SOCKETPAIR = {"x86_64": 53, "aarch64": 199}
_IOCTL = {"x86_64": 16, "aarch64": 29}
_CLONE3 = 435
_X32_BIT = 0x40000000
_NEW_NAMESPACES = (
    kernel.CLONE_NEWNS
    | kernel.CLONE_NEWCGROUP
    | kernel.CLONE_NEWUTS
    | kernel.CLONE_NEWIPC
    | kernel.CLONE_NEWUSER
    | kernel.CLONE_NEWPID
    | kernel.CLONE_NEWNET
)
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C

_LOAD, _JEQ, _JGE, _JSET, _RET = 0x20, 0x15, 0x35, 0x45, 0x06
_NR, _ARCH, _ARG0, _ARG1 = 0, 4, 16, 24  # offsets in seccomp_data; low words, little endian
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_EPERM, _ENOSYS = 0x00050001, 0x00050026

Instruction = tuple[int, int, int, int]


def build(machine: str) -> list[Instruction]:
    """The program for `machine`, `x86_64` or `aarch64`."""
    program: list[Instruction] = [
        (_LOAD, 0, 0, _ARCH),
        (_JEQ, 1, 0, AUDIT_ARCH[machine]),
        (_RET, 0, 0, _KILL),
        (_LOAD, 0, 0, _NR),
    ]
    if machine == "x86_64":
        program += [(_JGE, 0, 1, _X32_BIT), (_RET, 0, 0, _KILL)]
    program += [(_JEQ, 0, 1, _CLONE3), (_RET, 0, 0, _ENOSYS)]
    for number in sorted(DENIED[machine].values()):
        program += [(_JEQ, 0, 1, number), (_RET, 0, 0, _EPERM)]
    program += [(_JGE, 0, 1, LAST_KNOWN_CALL), (_RET, 0, 0, _ENOSYS)]
    program += _argument_rule(
        _CLONE[machine], _ARG0, [(_JSET, 0, 1, _NEW_NAMESPACES), (_RET, 0, 0, _EPERM)]
    )
    program += _argument_rule(_SOCKETPAIR[machine], _ARG0, [(_JEQ, 1, 0, 1), (_RET, 0, 0, _EPERM)])
    terminals = [
        (_JEQ, 0, 1, _TIOCSTI),
        (_RET, 0, 0, _EPERM),
        (_JEQ, 0, 1, _TIOCLINUX),
        (_RET, 0, 0, _EPERM),
    ]
    program += _argument_rule(_IOCTL[machine], _ARG1, terminals)
    program.append((_RET, 0, 0, _ALLOW))
    return program


def _argument_rule(number: int, offset: int, tests: list[Instruction]) -> list[Instruction]:
    """`tests` on one argument of call `number`; a call that they do not end is allowed."""
    body = [(_LOAD, 0, 0, offset), *tests, (_RET, 0, 0, _ALLOW)]
    return [(_JEQ, 0, len(body), number), *body]


class Filter(ctypes.Structure):
    """`struct sock_fprog`, kept alive by the zygote so that a job only has to install it."""

    _fields_ = (("length", ctypes.c_ushort), ("program", ctypes.c_void_p))
    buffer: ctypes.Array[ctypes.c_char]


def assemble(program: list[Instruction]) -> Filter:
    packed = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
    buffer = ctypes.create_string_buffer(packed, len(packed))
    assembled = Filter(len(program), ctypes.addressof(buffer))
    assembled.buffer = buffer
    return assembled


def install(assembled: Filter) -> None:
    """Filter this process from here on. Needs PR_SET_NO_NEW_PRIVS. Raises OSError."""
    kernel.prctl(kernel.PR_SET_SECCOMP, 2, ctypes.addressof(assembled))
