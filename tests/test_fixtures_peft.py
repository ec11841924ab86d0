"""The fixtures age; what today's peft writes must be read just as well."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.slow
def test_todays_peft_writes_what_the_readers_read(tmp_path: Path) -> None:
    pytest.importorskip("peft", reason="peft is not installed: make test-torch installs it")
    environment = {**os.environ, "KINATLAS_FIXTURES": str(tmp_path)}
    for command in (
        [str(HERE / "fixtures" / "make_fixtures.py")],
        ["-m", "pytest", "-q", "-p", "no:cacheprovider", str(HERE / "test_io_peft.py")],
    ):
        done = subprocess.run(
            [sys.executable, *command],
            env=environment,
            cwd=HERE.parent,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
