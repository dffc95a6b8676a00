"""Writing a file so that a failure loses nothing: the old file stays until the new one is complete."""

import os
import stat
import tempfile
from pathlib import Path


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write beside the file, then put it in its place; text as UTF-8. Raises `OSError`."""
    written = content.encode() if isinstance(content, str) else content
    if path.exists() and not stat.S_ISREG(path.stat().st_mode) and not path.is_dir():
        # A device or a pipe (/dev/stdout) cannot be replaced, only written to.
        with path.open("wb") as stream:
            stream.write(written)
        return
    if path.is_dir():
        raise IsADirectoryError(21, "Is a directory", str(path))
    target = path.resolve()  # a link stays a link
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(written)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o666 & ~_umask())
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _umask() -> int:
    """The process's umask; there is no way to read it but to set it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
