"""What can go wrong between a source and the ledger, in words for the person who has to mend it."""


class SpanledgerError(Exception):
    """Base of every error shown to a user: what is wrong, and what to do about it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}. {self.hint}" if self.hint else self.message


class SourceError(SpanledgerError):
    """A file or body that cannot be loaded at all; nothing of it was kept."""


class UnknownFormat(SourceError):
    """No collector recognises the content."""


class LedgerError(SpanledgerError):
    """The ledger itself cannot be opened, written or migrated."""


class LedgerLocked(LedgerError):
    """Another process has the ledger open; a server on it can be asked instead."""


class PriceError(SpanledgerError):
    """A price file that contradicts itself or cannot be read."""
