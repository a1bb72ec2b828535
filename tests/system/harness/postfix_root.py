"""Debian's Postfix, with smtp-source and smtp-sink, in a root of its own."""

from harness.foreign_root import ForeignRoot

MAILER = "postfix postfix/main_mailer_type select No configuration\n"


class PostfixRoot(ForeignRoot):
    def __init__(self) -> None:
        super().__init__("postfix", ("postfix", "postfix-pcre"), MAILER)
