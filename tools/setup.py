"""This folder is the package `tools`, every package in it one of its rooms; the rest is
in pyproject.toml.
"""

from setuptools import find_packages, setup

setup(
    package_dir={"tools": "."},
    packages=["tools", *("tools." + room for room in find_packages("."))],
)
