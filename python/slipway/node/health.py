"""Whether what a machine is for works, by the user's own word: a command there, a page from here."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any

from slipway.inventory.model import HealthCheck
from slipway.result import CommandTimedOut
from slipway.ssh.host import Host

LONGEST = 200


def problem(host: Host, check: HealthCheck) -> str:
    """Why the machine is not well; empty if it is. Raises what keeps it from being asked."""
    return _command(host, check) or _page(check)


def _command(host: Host, check: HealthCheck) -> str:
    if check.command is None:
        return ""
    try:
        result = host.run(["sh", "-c", check.command, "health check"], timeout=check.timeout, check=False)
    except CommandTimedOut as error:
        return f"health check: no end after {error.timeout:g} s"
    said = (result.excerpt(1) or "no word")[:LONGEST]
    return "" if result.ok else f"health check: exit code {result.exit_code}: {said}"


class _AsItIs(urllib.request.HTTPRedirectHandler):
    """Another place than the one that was named says nothing about this machine."""

    def redirect_request(self, *_what: Any) -> None:  # noqa: ANN401 (urllib's own words)
        return None


def _page(check: HealthCheck) -> str:
    """Asked from here, without a proxy. Whose certificate it is does not matter: nothing but the status is read."""
    if check.url is None:
        return ""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    handlers = (urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context), _AsItIs())
    try:
        with urllib.request.build_opener(*handlers).open(check.url, timeout=check.timeout) as answer:
            found = int(answer.status)
    except urllib.error.HTTPError as error:
        found = error.code
        error.close()
    except (OSError, HTTPException, ValueError) as error:
        return f"health check: {check.url}: {str(error)[:LONGEST] or type(error).__name__}"
    return "" if found == check.status else f"health check: {check.url}: status {found}, not {check.status}"
