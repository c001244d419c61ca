"""slipway: one host inventory to a running, self-managing Kubernetes cluster on bare-metal NixOS."""

__version__ = "0.1.0"
