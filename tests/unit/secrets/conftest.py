"""The repository with secrets, for every test here."""

from tests.unit.sealed import made_once, repository

__all__ = ["made_once", "repository"]
