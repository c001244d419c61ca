"""Folders of *.conf files as systemd reads them: several places, one of which masks the other by file name."""

from __future__ import annotations

from slipway.verify.backend import NodeHost

PLACES = ("/etc", "/run", "/usr/local/lib", "/usr/lib", "/lib")
"""The first one wins (CONF_PATHS in systemd's constants.h); /lib is another name of /usr/lib, or its older half."""

# A name a line, its text indented. Masked is what is a link to /dev/null, or empty.
_READ = """set -e
for place in {places}; do
  for file in "$place"/{folder}/*.conf; do
    if [ -f "$file" ] || [ -c "$file" ]; then echo "$file"; sed 's/^/\\t/' "$file"; echo; fi
  done
done
"""


def lines(host: NodeHost, folder: str) -> list[str]:
    """Lines of a folder such as sysctl.d, without comments, in the order in which systemd reads them.

    Files of all places are sorted by name, whichever place they are in (sysctl.d(5), modules-load.d(5)).
    """
    said = host.check_output(_READ.format(places=" ".join(PLACES), folder=folder))
    files: dict[str, list[str]] = {}
    content: list[str] = []
    for line in said.splitlines():
        if line.startswith("/"):
            content = []
            files.setdefault(line.rsplit("/", 1)[1], content)
        else:
            content.append(line.strip())
    return [line for name in sorted(files) for line in files[name] if line and line[0] not in "#;"]
