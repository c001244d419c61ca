"""The pack `os`: the machine runs what was deployed, and is fit to be a node."""
