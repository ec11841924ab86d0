"""Settings every test shares."""

import os

from hypothesis import HealthCheck, settings

# A deadline measures how busy the machine is, not whether the code is right.
settings.register_profile("local", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# The same examples every time where a failure stops others; new ones on every machine of ours.
settings.register_profile("ci", settings.get_profile("local"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")
