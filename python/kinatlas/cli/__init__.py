"""The command line: the verbs of the Python API, a folder in and a table out.

Exit codes: 0 done, 1 the data or an option was refused (the message says why), 2 wrong usage,
74 the disk is full (free space, then run again with --resume), 75 try again later (another job
holds the folder, the scheduler does not answer, workers were lost), 130 interrupted.
"""

from __future__ import annotations

import errno
import sys

__all__ = ["main"]

# 74 and 75 are EX_IOERR and EX_TEMPFAIL of sysexits.h, which schedulers know.
_REFUSED, _DISK_FULL, _TRY_AGAIN, _INTERRUPTED = 1, 74, 75, 130


def main() -> None:
    """Run ``kinatlas``; every refusal is one line on standard error and exit code 1.

    Examples
    --------
    >>> import subprocess, sys
    >>> answer = subprocess.run([sys.executable, "-m", "kinatlas", "--version"],
    ...                         capture_output=True, text=True)
    >>> answer.stdout.startswith("kinatlas ")
    True
    """
    try:
        from kinatlas.cli.app import app
    except ImportError as error:
        print(
            f"kinatlas: the command line needs {error.name}; pip install 'kinatlas[cli]'",
            file=sys.stderr,
        )
        sys.exit(_REFUSED)
    from kinatlas.errors import KinAtlasError, LockedError, SchedulerError, WorkerError

    try:
        app()
    except (LockedError, SchedulerError, WorkerError) as error:
        print(f"kinatlas: {error}", file=sys.stderr)
        sys.exit(_TRY_AGAIN)
    except (KinAtlasError, OSError, ValueError) as error:
        print(f"kinatlas: {error}", file=sys.stderr)
        is_full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        sys.exit(_DISK_FULL if is_full else _REFUSED)
    except MemoryError as error:
        print(f"kinatlas: out of memory ({error}); leave out --json and --csv", file=sys.stderr)
        sys.exit(_REFUSED)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
