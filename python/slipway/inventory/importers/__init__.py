"""Inventories of other tools, turned into ours; each importer tells what it could not carry over."""
