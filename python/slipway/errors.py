"""Every error that a user can meet, with the exit code that scripts see.

The table of exit codes is made from these classes (`exit_codes`), so that documentation and behaviour cannot differ.
An error says place, value, the other party and the likely fix in its message; `hint` is the next command to type.
"""

from __future__ import annotations

from slipway.words import plain


class SlipwayError(Exception):
    """Something that the user can act on; never shown with a traceback.

    `message` may hold words of a node or a program as they came: they are made plain here, once for all who show them.
    """

    exit_code: int = 1
    meaning: str = "internal error"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        self.message = plain(message)
        super().__init__(self.message)
        self.hint = None if hint is None else plain(hint)

    def __str__(self) -> str:
        return self.message


class UsageError(SlipwayError):
    exit_code = 2
    meaning = "wrong usage of the command"


class InvalidInput(SlipwayError):
    exit_code = 3
    meaning = "invalid inventory or files"


class ChangesPending(SlipwayError):
    exit_code = 4
    meaning = "changes pending (plan, and check modes)"


class Unreachable(SlipwayError):
    """A machine could not be spoken to; the only error, besides a time-out, that may ever be tried again."""

    exit_code = 5
    meaning = "a machine is unreachable"


class DeployFailed(SlipwayError):
    exit_code = 6
    meaning = "deploy failed"


class Degraded(SlipwayError):
    exit_code = 7
    meaning = "degraded, or a reboot is required"


class VerificationRed(SlipwayError):
    exit_code = 8
    meaning = "verification red"


class GateRefused(SlipwayError):
    exit_code = 9
    meaning = "gate refused"


class StageLawBroken(SlipwayError):
    exit_code = 10
    meaning = "stage law broken"


class LockedByAnother(SlipwayError):
    exit_code = 11
    meaning = "locked by another run"


class PrerequisiteMissing(SlipwayError):
    exit_code = 12
    meaning = "a prerequisite is missing"


class Interrupted(SlipwayError):
    exit_code = 130
    meaning = "interrupted"


def exit_codes() -> dict[int, str]:
    """The published table: exit code to meaning, 0 included, in ascending order.

    It is made of the classes of this module; special cases elsewhere share the code, and so the meaning, of their kind.
    """
    ours = [each for each in SlipwayError.__subclasses__() if each.__module__ == __name__]
    kinds: list[type[SlipwayError]] = [SlipwayError, *ours]
    return {0: "done", **{kind.exit_code: kind.meaning for kind in sorted(kinds, key=lambda kind: kind.exit_code)}}
