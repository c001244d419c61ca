"""Whether volumes are saved, and in words why one is not: what VolSync says of its ReplicationSources, and what its
movers said last (VolSync: a mover is a Job `volsync-src-NAME`, tried again until it succeeds)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from slipway.stages import readiness
from slipway.stages.reasons import Asked

SOURCES = "replicationsources.volsync.backube"
NO_MOVER = 120.0
"""Seconds after which a mover without a pod is no longer one that is about to have one."""

Object = Mapping[str, Any]


def name_of(source: Object) -> str:
    about = source["metadata"]
    return f"{about['namespace']}/{about['name']}"


def last(source: Object) -> str:
    """When its volume was last saved (ISO 8601), "" if never."""
    return str(source.get("status", {}).get("lastSyncTime") or "")


def at_work(source: Object) -> bool:
    """Whether a mover is under way, or should be: its pods may have something to say."""
    return not source["spec"].get("paused") and not readiness.condition(source, "Synchronizing")


def failed(source: Object) -> bool:
    """Whether its newest mover came to an end that is no good one."""
    return bool(_mover(source).get("result") == "Failed")


def _mover(source: Object) -> Object:
    found: Object = source.get("status", {}).get("latestMoverStatus", {})
    return found


def lacks(source: Object) -> str:
    """What VolSync itself says instead of having saved the volume; one that is paused has nothing to do."""
    mover = _mover(source)
    if source["spec"].get("paused") or (mover.get("result") == "Successful" and last(source)):
        return ""
    if failed(source):
        return f"the backup failed: {_last_line(str(mover.get('logs', '')))}"
    return readiness.condition(source, "Synchronizing") or "at work"


def trouble(source: Object, pods: Iterable[Object], asked: Asked) -> tuple[str, ...]:
    """Why its volume is not saved, now or any more, and what is saved of it. Nothing where all is well: also while the
    first backup is under way, as long as no mover has failed."""
    said = lacks(source) if failed(source) else ""
    if not said and at_work(source):
        said = _of_movers(source, [pod for pod in pods if _moves(pod, source)], asked)
    saved = last(source)
    return (said, f"last saved {saved}" if saved else "never saved before") if said else ()


def _of_movers(source: Object, movers: Sequence[Object], asked: Asked) -> str:
    failed = [pod for pod in movers if pod.get("status", {}).get("phase") == "Failed"]
    if failed:
        return f"the backup fails, and is tried again: {_last_line(asked.words(failed[-1]).rpartition(' / ')[2])}"
    begun = str(source.get("status", {}).get("lastSyncStartTime") or "")
    if movers or not begun or (datetime.now(UTC) - datetime.fromisoformat(begun)).total_seconds() < NO_MOVER:
        return ""
    about = source["metadata"]
    look = f"kubectl --namespace {about['namespace']} describe job volsync-src-{about['name']}"
    return f"the backup is under way since {begun}, and no pod is there that makes it: {look}"


def _moves(pod: Object, source: Object) -> bool:
    about, of = pod["metadata"], source["metadata"]
    job = (about.get("labels") or {}).get("batch.kubernetes.io/job-name")
    return bool(about["namespace"] == of["namespace"] and job == f"volsync-src-{of['name']}")


def _last_line(logs: str) -> str:
    lines = [line for line in logs.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "its mover left no word"
