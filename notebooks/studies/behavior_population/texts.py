"""The rated snippets of Hutto and Gilbert (2014), read from the pinned package, and its lexicon."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

FILE = "vaderSentiment-0.5.zip"
SHA256 = "5d97c37f3ef6e24eef331122e055dbedafeb6a56abfce0608b326701116ea49a"
DOMAINS = {
    "tweets": "tweets_GroundTruth.txt",
    "amazon": "amazonReviewSnippets_GroundTruth.txt",
    "movies": "movieReviewSnippets_GroundTruth.txt",
    "news": "nytEditorialSnippets_GroundTruth.txt",
}


def fetch(cache: Path) -> Path:
    """The archive, downloaded once; refuses other bytes than the pinned ones."""
    path = cache / FILE
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        subprocess.run([*pip, "--dest", str(cache), "vadersentiment==0.5"], check=True)
    got = hashlib.sha256(path.read_bytes()).hexdigest()
    if got != SHA256:
        raise RuntimeError(f"{path}: SHA-256 is {got}, expected {SHA256}; delete the file")
    return path


def read(cache: Path) -> tuple[list[str], list[str], list[float]]:
    """Texts, domains and mean ratings (-4 to 4), each text once, in the order of the files."""
    texts: dict[str, tuple[str, float]] = {}
    with zipfile.ZipFile(fetch(cache)) as archive:
        name = next(n for n in archive.namelist() if n.endswith("hutto_ICWSM_2014.tar.gz"))
        with tarfile.open(fileobj=io.BytesIO(archive.read(name))) as inner:
            files = {Path(entry.name).name: entry for entry in inner if entry.isfile()}
            for domain, file in DOMAINS.items():
                handle = inner.extractfile(files[file])
                assert handle is not None
                for line in handle.read().decode("latin-1").splitlines():
                    _, rating, text = line.split("\t")[:3]
                    texts.setdefault(text.strip(), (domain, float(rating)))
    kept = [text for text in texts if text]
    return kept, [texts[one][0] for one in kept], [texts[one][1] for one in kept]


def lexicon(cache: Path) -> dict[str, float]:
    """Valence of single words."""
    with zipfile.ZipFile(fetch(cache)) as archive:
        name = next(n for n in archive.namelist() if n.endswith("vader_sentiment_lexicon.txt"))
        lines = archive.read(name).decode("latin-1").splitlines()
    rows = (line.split("\t") for line in lines if line.count("\t") >= 1)
    return {row[0]: float(row[1]) for row in rows}
