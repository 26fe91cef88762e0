"""The release of this firmware, as the HES, `--version` and pyproject.toml say it."""

VERSION = "0.1.0"
