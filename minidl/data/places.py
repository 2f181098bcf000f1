"""Where to look for data sets, and from and to where to download them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from minidl._printable import printable
from minidl.data.dataset import DatasetError, DatasetNotFound


@dataclass(frozen=True)
class Places:
    """The folders to look in, in order, and the one to download into.

    ``target`` is ``None`` if nothing may be downloaded, because the user ``named``
    the only folder, or switched downloading off.
    """

    folders: tuple[Path, ...]
    target: Path | None
    named: bool
    progress: bool

    def not_found(self, title: str, files: str, source: str) -> DatasetNotFound:
        """The error for a data set that is in none of the folders and may not be downloaded."""
        where = " or ".join(
            f"{f}{'' if os.path.isdir(f) else ' (no such folder)'}" for f in self.folders
        )
        hint = (
            "Leave out the folder (no --data-dir) to have it downloaded"
            if self.named
            else "Allow downloading (it is switched off)"
        )
        return DatasetNotFound(
            f"{title} is not in {where}: expected {files}. {hint}, or put there {source}",
            f"{title} is not in {where} and downloading is switched off",
        )


@dataclass(frozen=True)
class Layout:
    """The files of a data set, and the ``subfolders`` of a data folder that may hold them all."""

    subfolders: Sequence[str]  # in the order of the search
    names: Sequence[str]
    endings: Sequence[str] = ("",)  # of a name, one of which is there

    def find(self, folder: Path) -> Path | None:
        """The first subfolder of ``folder`` that has all files."""
        for place in (folder / inside for inside in self.subfolders):
            files = ([place / f"{name}{end}" for end in self.endings] for name in self.names)
            if all(any(map(os.path.isfile, paths)) for paths in files):
                return place
        return None

    def hint(self, folders: Iterable[Path], pickled: str = "") -> str:
        """What to do if they are there under other names, one level lower, or as pickles.

        ``pickled`` is the folder of the same data as pickles.
        """
        alike = {name.replace("-", "."): name for name in self.names}
        for folder in folders:
            if os.path.isfile(folder):
                return f"; {folder} is a file: name its folder"
            there = sorted(folder.iterdir()) if _readable(folder) else []
            for path in (folder, *there):
                if pickled and path.name.startswith(pickled):
                    return (
                        f"; {path} has the version for Python: pickles, which could run code, and "
                        "which are not read"
                    )
            for path in filter(os.path.isdir, there):
                if (found := self.find(path)) is not None:
                    return f"; {found} has them: name {path}"
            for path in there:  # 7-Zip unpacks "train-images.idx3-ubyte"
                name = alike.get(path.name.replace("-", "."), path.name)
                if path.name != name:
                    return f"; rename {path.name} to {name}, and the others in the same way"
        return ""


def _readable(folder: Path) -> bool:
    return os.path.isdir(folder) and os.access(folder, os.R_OK | os.X_OK)


def places(data_dir: str | os.PathLike[str] | None, download: bool, progress: bool) -> Places:
    """Only ``data_dir`` if given, otherwise ``$MINIDL_DATA`` and the user's cache.

    Raises
    ------
    DatasetError
        if ``$MINIDL_DATA`` has characters that do not print.
    """
    if data_dir is not None:
        return Places((_folder(data_dir),), None, True, progress)
    folders = [cache()]
    if environment := os.environ.get("MINIDL_DATA"):
        if not environment.isprintable():  # a terminal would take it for commands
            got = printable(repr(environment), limit=200)
            raise DatasetError(f"MINIDL_DATA: expected a name of printable characters, got {got}")
        folders.insert(0, _folder(environment))
    target = next(filter(writable, folders), folders[0])
    return Places(tuple(folders), target if download else None, False, progress)


def own_mirror(path: str) -> tuple[str, ...]:
    """The address of the file ``path`` on the mirror that ``$MINIDL_MIRROR`` names, if it does.

    Raises
    ------
    DatasetError
        if it names no address of http or https, or one with a password, which messages
        would show.
    """
    mirror = os.environ.get("MINIDL_MIRROR", "").strip()
    if not mirror:
        return ()
    try:
        parts = urlsplit(mirror)
        good = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc
    except ValueError:
        good = False
    if not good or parts.query or parts.fragment or not mirror.isprintable():
        got = printable(repr(mirror.rpartition("@")[2]), limit=200)
        raise DatasetError(
            f"MINIDL_MIRROR: expected an address such as https://host/folder, got {got}; a "
            "password belongs in ~/.netrc, a folder of this machine in MINIDL_DATA"
        )
    return (f"{mirror.rstrip('/')}/{quote(path)}",)


def _folder(name: str | os.PathLike[str]) -> Path:
    return Path(os.path.expanduser(name))


def cache() -> Path:
    """The user's cache folder for minidl."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("minidl"))


def writable(folder: Path) -> bool:
    """Whether files can be put into ``folder``, or it can be made."""
    there = next((path for path in (folder, *folder.parents) if os.path.exists(path)), folder)
    return os.access(there, os.W_OK | os.X_OK)
