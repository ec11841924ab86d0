"""Which doctests can be collected at all."""

from importlib.util import find_spec

# The torch room imports torch when it is loaded, as a user's own code would.
collect_ignore_glob = [] if find_spec("torch") else ["python/kinatlas/torch/*"]
# The same holds for the sklearn room.
if not find_spec("sklearn"):
    collect_ignore_glob.append("python/kinatlas/sklearn/*")
