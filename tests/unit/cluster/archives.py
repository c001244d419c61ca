"""Archives as `k0s backup` makes them, and a program that stands for k0s where a script of ours calls it."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

from slipway.secret import Secret

CA = b"the authority"
FAKE_K0S = """#!/bin/sh
# A fake k0s: `backup` packs the folder {data} as k0s does, `restore` unpacks into it.
set -eu
echo "$*" >>{log}
case $1 in
version) echo v1.36.3+k0s.2 ;;
status) echo '{{"Version": "v1.36.3+k0s.2"}}' ;;
backup)
  [ ! -e {data}/refuse ] || {{ echo 'Error: unable to detect cluster status' >&2; exit 1; }}
  [ -d "$TMPDIR" ] || exit 9
  cd {data} && tar -czf "${{2#--save-path=}}/k0s_backup_2026.tar.gz" -- * ;;
restore)
  mkdir -p {restored}/etcd/member/snap && : >{restored}/etcd/member/snap/db
  [ ! -e {data}/refuse ] || {{ echo 'Error: failed to restore on step `etcd`' >&2; exit 1; }}
  tar -xzf "$3" -C {restored} ;;
esac
"""


def fake_k0s(folder: Path) -> Path:
    """Makes the program below `folder`, with `data` that it packs and `restored` that it unpacks to; its folder, for
    PATH."""
    data, restored, programs = folder / "data", folder / "restored", folder / "bin"
    for each in (data / "pki", data / "images", restored, programs):
        each.mkdir(parents=True)
    (data / "etcd-snapshot.db").write_bytes(os.urandom(3 << 20))
    (data / "pki" / "ca.crt").write_bytes(CA)
    (data / "images" / "bundle.tar").write_bytes(os.urandom(1 << 20))
    (data / "k0s.yaml").write_text("of the other machine\n")
    program = programs / "k0s"
    program.write_text(FAKE_K0S.format(data=data, restored=restored, log=folder / "calls"))
    program.chmod(0o755)
    return programs


def archive(files: dict[str, bytes] | None = None) -> Secret:
    """A tar.gz of these files, by default of a snapshot and an authority."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as packed:
        for name, text in (files or {"etcd-snapshot.db": b"x", "pki/ca.crt": CA}).items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            packed.addfile(member, io.BytesIO(text))
    return Secret(content.getvalue())
