"""Archive: a few named members in one zip file that ends with the SHA-256 of everything before.

A zip's own checksums do not cover its headers, so a flipped byte there goes unseen; the seal, which stands in the
archive's comment, covers every byte. Members are stored as they are: nothing can unpack to more than the file's own
size.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from bayesglm.errors import StorageError

MANIFEST = "manifest.json"
_SEAL = b"bayesglm seal sha256:"
_DIGITS = 64
_BLOCK = 2**20
_AGAIN = "Take the file from a backup, or save the fit again."
_FOREIGN = "Give a file that Fit.save wrote."


def write_archive(path: Path, members: Mapping[str, bytes]) -> None:
    """Write members to a file at once: whoever reads sees the old file or the whole new one.

    Parameters
    ----------
    path : Path
        Where; a file that is there is replaced.
    members : mapping
        Name to content, the manifest first.

    Raises
    ------
    StorageError
        The path is a folder, its folder does not exist, or the disk refuses.
    """
    if path.is_dir():
        raise StorageError(f"{path} is a folder", value=str(path), rule="a fit is saved to a file",
                           fix=f"Name a file in it: {path / 'fit.bglm'}.")
    if not path.parent.is_dir():
        raise StorageError(f"there is no folder {path.parent}", value=str(path),
                           rule="a fit is saved into a folder that exists",
                           fix="Make the folder first, or mend the path.")
    temporary = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with temporary.open("x+b") as file:
            _write_zip(file, members)
            _seal(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror or error}", value=str(path),
                           rule="the folder must take a new file",
                           fix="Free space or choose another folder.") from error
    finally:
        temporary.unlink(missing_ok=True)


def _write_zip(file: BinaryIO, members: Mapping[str, bytes]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            about = zipfile.ZipInfo(name)  # dated 1980, so that equal fits make equal files
            about.create_system = 3
            archive.writestr(about, content)
        archive.comment = _SEAL + b"0" * _DIGITS


def _seal(file: BinaryIO) -> None:
    end = file.seek(0, os.SEEK_END) - _DIGITS
    digest = _digest(file, end)
    file.seek(end)
    file.write(digest)


def _digest(file: BinaryIO, end: int) -> bytes:
    digest = hashlib.sha256()
    file.seek(0)
    for begin in range(0, end, _BLOCK):
        digest.update(file.read(min(_BLOCK, end - begin)))
    return digest.hexdigest().encode("ascii")


def read_archive(path: Path, *, only: str | None = None) -> dict[str, bytes]:
    """Read the members of an archive whose seal holds.

    Parameters
    ----------
    path : Path
        The file.
    only : str, optional
        The one member to read; all without it.

    Raises
    ------
    StorageError
        No such file, a file of something else, or one that has changed since it was written.
    """
    try:
        with path.open("rb") as file:
            _check_seal(path, file)
            return _members(path, file, only)
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror or error}", value=str(path),
                           rule="a saved fit is a file",
                           fix="Mend the path; the file is where Fit.save put it.") from error
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise StorageError(f"{path} holds an archive that cannot be read ({error})", value=str(error),
                           rule="a saved fit is an archive of plain members", fix=_AGAIN) from error


def _check_seal(path: Path, file: BinaryIO) -> None:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - len(_SEAL) - _DIGITS))
    tail = file.read()
    if tail.startswith(_SEAL):
        found = _digest(file, size - _DIGITS)
        if found != tail[len(_SEAL):]:
            raise StorageError(f"{path} is damaged: its SHA-256 is {found.decode()[:12]}...", value=found.decode(),
                               rule="a saved fit ends with the SHA-256 of its content, and this one has another",
                               fix=_AGAIN)
        return
    file.seek(0)
    head = file.read(30 + len(MANIFEST))
    if not head.startswith(b"PK\x03\x04"):
        raise StorageError(f"{path} is no zip file (it begins with {head[:8]!r})", value=head[:8],
                           rule="a saved fit is a zip file", fix=_FOREIGN)
    if not head.endswith(MANIFEST.encode()):
        raise StorageError(f"{path} is a zip file of something else", value=head[30:],
                           rule=f"a saved fit begins with {MANIFEST} and ends with its SHA-256", fix=_FOREIGN)
    raise StorageError(f"{path} is cut short, or was packed again", value=f"{size} bytes",
                       rule="a saved fit ends with the SHA-256 of its content, and here there is none", fix=_AGAIN)


def _members(path: Path, file: BinaryIO, only: str | None) -> dict[str, bytes]:
    with zipfile.ZipFile(file) as archive:
        found = archive.infolist()
        names = [each.filename for each in found]
        plain = all(each.compress_type == zipfile.ZIP_STORED and each.file_size == each.compress_size for each in found)
        if len(set(names)) < len(names) or not plain:
            raise StorageError(f"{path} holds members twice, or compressed", value=names,
                               rule="the members of a saved fit are stored once and as they are", fix=_FOREIGN)
        if only is not None and only not in names:
            raise StorageError(f"{path} holds no {only}", value=names, rule=f"a saved fit has a {only}", fix=_FOREIGN)
        return {name: archive.read(name) for name in names if only in (None, name)}
