"""The repository with secrets, for the commands that work on one."""

from tests.unit.sealed import made_once, repository

__all__ = ["made_once", "repository"]
