"""Certificates of k0s and of its kubelet.

openssl x509 -noout -enddate -in /var/lib/k0s/pki/server.crt
"""

from __future__ import annotations

from datetime import UTC, datetime

from cryptography import x509

from slipway.verify.asked import Facts
from slipway.verify.backend import NodeHost
from slipway.verify.check import CannotRun, expect, listed

# kubelet's file holds its key as well, which stays there.
READ = r"""
for file in /var/lib/k0s/pki/*.crt /var/lib/k0s/pki/etcd/*.crt /var/lib/k0s/kubelet/pki/kubelet-client-current.pem; do
  if [ -f "$file" ]; then echo "file $file"; sed -n '/-BEGIN CERT/,/-END CERT/p' "$file"; fi
done
"""
DAYS = 14
"""k0s makes new ones when it starts, kubelet at a fifth of its certificate's life left: two weeks are time to act."""


def test_have_days_left(host: NodeHost, facts: Facts) -> None:
    """No certificate ends within two weeks."""
    now = datetime.now(UTC).timestamp() + facts.clock_offset
    parts = [part.partition("\n") for part in host.check_output(READ).split("file ") if part]
    left = {file: (_end(text) - now) / 86400 for file, _, text in parts}
    if not left:
        raise CannotRun("k0s has no certificate at all: did it ever start?")
    short = [f"{file.rpartition('/')[2]}: {days:.0f} days" for file, days in left.items() if days < DAYS]
    expect(
        not short,
        expected=f"{DAYS} days or more",
        found=listed(short),
        fix="systemctl restart k0s.service makes new ones; ca.crt: k0s has no way but a new cluster, plan it",
        command="for f in /var/lib/k0s/pki/*.crt; do openssl x509 -noout -enddate -in $f; done",
    )


def _end(text: str) -> float:
    try:
        found = x509.load_pem_x509_certificates(text.strip().encode())
    except ValueError as error:
        raise CannotRun(f"a certificate cannot be read: {error}") from error
    return min(each.not_valid_after_utc.timestamp() for each in found)
