"""Fills the package's dependencies from main.in, so that the list of names stands once."""

from pathlib import Path

from hatchling.metadata.plugin.interface import MetadataHookInterface

# What main.in adds for installing from a checkout, which the built package does not need.
BUILD_ONLY = {"hatchling", "editables"}


class Dependencies(MetadataHookInterface):
    def update(self, metadata: dict) -> None:
        lines = (Path(self.root) / "requirements" / "main.in").read_text().splitlines()
        names = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        metadata["dependencies"] = [name for name in names if name not in BUILD_ONLY]
