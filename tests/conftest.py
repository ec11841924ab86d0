"""Settings every test shares."""

from hypothesis import settings

# A deadline measures how busy the machine is, not whether the code is right.
settings.register_profile("kinatlas", deadline=None)
settings.load_profile("kinatlas")
