"""`slipway verify --watch`: again and again, and what changed from one round to the next."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from slipway.cli.console import clear, print_json_line, print_table, progress, tell
from slipway.errors import SlipwayError
from slipway.events import Events
from slipway.report import text
from slipway.rollout.run import KEPT, Run
from slipway.verify import comparison, history
from slipway.verify.comparison import Changed
from slipway.verify.result import Verification


@dataclass(frozen=True)
class Watch:
    """Rounds of `once` every `interval` seconds, until Ctrl-C. Each round is told on standard output:

    a terminal shows the newest as a whole, under it what it changed; a pipe is told the first as a whole and then
    changes alone, with `json_output` each as one line of JSON. Rounds that change something become runs of
    their own, which `slipway verify diff` knows.
    """

    root: Path
    once: Callable[[Events], Verification]
    write_reports: Callable[[Verification], None]
    interval: float
    json_output: bool
    wait: Callable[[float], None] = time.sleep
    keep: int = KEPT

    def run(self) -> None:
        """Does not return; ends by KeyboardInterrupt, or by an error of the first round."""
        before: Verification | None = None
        while True:
            began = time.monotonic()
            before = self._round(before)
            self.wait(max(1.0, self.interval - (time.monotonic() - began)))

    def _round(self, before: Verification | None) -> Verification | None:
        try:
            with progress(quiet=before is not None or self.json_output) as listener:
                found = self.once(Events(listener))
        except SlipwayError as error:
            if before is None:
                raise
            # What ends a round (a file of verify/ that is half saved, say) may be mended by the next.
            tell(f"{_clock()} no answer this time: {error}")
            return before
        changes = comparison.compare(before, found) if before else ()
        if before is None or changes:
            self._keep(found)
        self.write_reports(found)
        self._tell(found, changes, first=before is None)
        return found

    def _keep(self, found: Verification) -> None:
        run = Run.begin(self.root, "verify", keep=self.keep)
        history.keep(self.root, run.folder, found)
        run.finish((), None)

    def _tell(self, found: Verification, changes: tuple[Changed, ...], *, first: bool) -> None:
        if self.json_output:
            if first:
                print_json_line(found.to_json())
            elif changes:
                print_json_line({"time": found.time, "changes": [change.to_json() for change in changes]})
            return
        redrawn = sys.stdout.isatty()
        if redrawn:
            clear()
        if first or redrawn:
            print_table(text.columns(found), text.rows(found))
            for line in text.findings(found):
                tell(line)
        for change in changes:
            tell(f"{_clock()} {change}")
        if redrawn:
            tell(f"{_clock()} again every {self.interval:g} s; Ctrl-C ends it")


def _clock() -> str:
    return time.strftime("%H:%M:%S")
