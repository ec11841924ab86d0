"""Files in, atlases out, and back: nothing else in the package touches the disk for tasks.

``load_atlas`` walks a folder, recognises each file by what it is, and reports what it read and
what it left out. No pickle is opened unless asked for, and neither torch nor a base model is
needed.
"""

from kinatlas.io.load import inspect_folder, load_atlas
from kinatlas.io.mapped import open_atlas
from kinatlas.io.parquet import iter_parquet, read_parquet, write_parquet
from kinatlas.io.prompts import PromptStore
from kinatlas.io.report import LoadEntry, LoadReport
from kinatlas.io.save import save_atlas

__all__ = [
    "LoadEntry",
    "LoadReport",
    "PromptStore",
    "inspect_folder",
    "iter_parquet",
    "load_atlas",
    "open_atlas",
    "read_parquet",
    "save_atlas",
    "write_parquet",
]
