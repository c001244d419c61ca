"""Speaking SSH: hosts, their pinned keys, and many of them at once. No other room does."""

import importlib
import sys


def _without_invoke() -> None:
    """Import paramiko without Invoke, and asyncio and unittest that come with it: a sixth of what a command on fifty
    machines costs us. paramiko takes it for one word of ssh_config that nothing here reads, and does without it.
    """
    if "paramiko" in sys.modules or "invoke" in sys.modules:
        return
    sys.modules["invoke"] = None  # type: ignore[assignment]  # (what makes an import fail)
    try:
        importlib.import_module("paramiko")
    finally:
        del sys.modules["invoke"]


_without_invoke()
