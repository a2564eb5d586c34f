"""Which parts of this machine a sandbox sees: system programs, Python's prefix, the toolchains."""

import os
import shutil
import site
import sys
import sysconfig
from dataclasses import dataclass, field

SYSTEM_FOLDERS = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store")
SYSTEM_FILES = (
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/alternatives",
)
TOOLS = ("g++", "node")
PRIVATE = ("/", "/home", "/root", "/tmp", "/var", "/run", "/etc", "/proc", "/sys", "/dev")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Read-only paths and symbolic links of a sandbox's root."""

    binds: dict[str, str] = field(default_factory=dict)
    """Path in the sandbox, and the real path on this machine that it shows."""
    links: dict[str, str] = field(default_factory=dict)
    path: str = "/usr/local/bin:/usr/bin:/bin"
    """PATH of programs: system folders and the folders of the toolchains."""


def this_machine() -> Layout:
    links: dict[str, str] = {}
    binds: dict[str, str] = {}
    for path in (*SYSTEM_FOLDERS, *SYSTEM_FILES):
        if os.path.islink(path) and path in SYSTEM_FOLDERS:
            links[path] = os.readlink(path)
        elif os.path.exists(path):
            binds[path] = os.path.realpath(path)
    folders = [*_python_folders(), *_tool_folders()]
    for folder in sorted(set(folders), key=len):
        if not any(_is_within(folder, bind) for bind in binds):
            binds[folder] = os.path.realpath(folder)
    return Layout(binds=binds, links=links, path=_program_path())


def tool(name: str) -> str | None:
    """Full path of a compiler or runtime, None where it is not installed."""
    return shutil.which(name)


def _python_folders() -> list[str]:
    """What this interpreter reads at run time; a folder that holds private things is never one."""
    executable = os.path.dirname(os.path.dirname(os.path.realpath(sys.executable)))
    places = [sys.prefix, sys.base_prefix, executable, *site.getsitepackages()]
    places += [sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")]
    places += [os.path.realpath(place) for place in places]
    return [place for place in places if os.path.realpath(place) not in PRIVATE]


def _tool_folders() -> list[str]:
    found = [os.path.realpath(path) for path in map(shutil.which, TOOLS) if path]
    return [
        prefix
        for prefix in (os.path.dirname(os.path.dirname(path)) for path in found)
        if prefix not in PRIVATE and os.path.isdir(prefix)
    ]


def _program_path() -> str:
    folders = [os.path.join(folder, "bin") for folder in _tool_folders()]
    folders += ["/usr/local/bin", "/usr/bin", "/bin"]
    return ":".join(dict.fromkeys(folders))


def _is_within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")
