"""The command line: the verbs of the Python API, a folder in and a table out.

Exit codes: 0 done, 1 the data or an option was refused (the message says why), 2 wrong usage,
130 interrupted.
"""

from __future__ import annotations

import sys

__all__ = ["main"]

_REFUSED, _INTERRUPTED = 1, 130


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
    from kinatlas.errors import KinAtlasError

    try:
        app()
    except (KinAtlasError, OSError, ValueError) as error:
        print(f"kinatlas: {error}", file=sys.stderr)
        sys.exit(_REFUSED)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
