"""The packs that slipway ships: a folder each, a subject a file, a check a function.

docs/reference/packs.md lists them.
"""
