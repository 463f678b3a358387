"""One word per thing: find the other words in bridge/, docs/ and the texts beside them.

Usage: check_words.py [DIRECTORY]. The table below is the glossary: a word nobody should write for a
thing of ours, what to say instead, and where the word is right because it is somebody else's name.

A word is found in any case, standing alone or as a part of an identifier: "account" in `account_id`
and `TenantAccount`, "hook" in `post_hook` but not in `webhook`. File names count, as line 0. In a
pattern, a blank also matches a line break and the comment mark of the next line.

Words that are right more often than wrong are left to the reader: result, fix, failed, sync and
import.
"""

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
DIRECTORIES = ("bridge", "docs")
FILES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "config.example.toml")


class Word(NamedTuple):
    """A pattern that must not occur, what to say instead, and the contexts where it may."""

    pattern: str
    say: str
    allowed: str = ""


WORDS = (
    # HTTP's header, TCP's option, systemd's directives and target, the users of Unix and databases.
    Word(
        "users?",
        "tenant (or: caller, admin, shopper)",
        r"user[-_]agents?|tcp_user_timeout|DynamicUser|PrivateUsers|multi-user\.target"
        r"|(?:unix|system|database) users?|postgresql://user[:@]",
    ),
    # Domain names end in .org.
    Word("orgs?|organi[sz]ations?", "tenant", r"\.org\b"),
    # The other side of an entry is its contra account, the ledger's own term.
    Word("accounts?", "tenant or wallet", r"contra accounts?|service accounts?|into account"),
    # WooCommerce's own identifiers: post types, roles, error codes.
    Word("shops?", "storefront", r"shop_(?:order|coupon|manager)\w*|woocommerce_rest_shop_\w+"),
    # The verb is right ("an order credits its total"); a number of credits is a balance.
    Word(
        r"credits_\w+|\w+_credits|(?:\d+|available|remaining|enough|more|their|your|its) credits",
        "balance",
    ),
    Word("funds", "balance"),
    # WooCommerce's field, SQLAlchemy's and Alembic's methods, and the database's unit of work when
    # it is called by one of these names.
    Word(
        "transactions?",
        "entry, draft or outcome (of a database: say database transaction)",
        r"transaction(?:_| )ids?|(?:in|begin)_transaction\(\)"
        # A pooler's own.
        r"|(?:database|one|single|same|own) transactions?|transaction mode|pool_mode = transaction",
    ),
    Word("movements?", "entry"),
    Word("charge[sd]?|charging", "debit", "in charge of"),
    Word("spends?|spending", "debit"),
    # The button a tenant sees may say it.
    Word(r"top(?:ped|ping)?(?:-|_| )?ups?", "deposit", r"[\"'>]Top up[\"'<]"),
    Word("recharge[sd]?|recharging", "deposit"),
    Word("deltas?", "drift (of times: say span)"),
    # Git's command, and the formatter's option.
    Word("diffs?", "drift", r"git diff|--diff\b"),
    # What a database does.
    Word("rollbacks?", "reversal", r"\.rollback\(|\"rollback\"|database rollbacks?"),
    Word("corrections?", "adjustment"),
    Word("freezes?|freezing", "hold (of a time: say fix)", r"gc\.freeze"),
    Word("authori[sz]e[sd]?", "hold (of callers: say allow)"),
    Word("orphans?|orphaned|unmatched", "held order"),
    # APScheduler's own names, and what CI runs.
    Word(
        "jobs?",
        "run (of the scheduler: say task)",
        r"(?:add|get|remove|pause|resume|modify|reschedule)_jobs?|EVENT_JOB_\w+|job_id|job_defaults"
        r"|jobstores?|Job(?:Execution|Submission)?Event|CI jobs?",
    ),
    Word("watermarks?", "cursor"),
    # Other programs' hooks; a WooCommerce webhook's own field; what json calls a parameter.
    Word("hooks?", "hint", r"(?:git|pre-commit|WordPress) hooks?|\"hooks\"|object_pairs_hook"),
    # Python's and Typer's own names; WordPress's error code.
    Word(
        "callbacks?",
        "hint or event",
        r"add_done_callback|push_async_callback|\.callback\(|callback=|rest_missing_callback_param",
    ),
    # Git's.
    Word("history|histories", "statement", r"git history"),
    Word("mutex(?:es)?", "lease"),
)

# A word begins and ends where letters do, or where an identifier turns from small to capital.
BEGIN = r"(?:(?<![A-Za-z])|(?<=[a-z])(?=[A-Z]))"
END = r"(?:(?![A-Za-z])|(?<=[a-z])(?=[A-Z]))"
# A blank in a pattern: in the text it may be a line break and the mark of a comment or a list.
BLANK = r"(?:[ \t]+|[ \t]*\n[ \t]*(?:[#>*-][ \t]+)?)"


class Stray(NamedTuple):
    """A word found where it should not be, and what to say there."""

    line: int
    found: str
    say: str


def main(arguments: Sequence[str]) -> int:
    """Print every stray word below a directory; return 1 if there are any."""
    root = Path(arguments[0]).resolve() if arguments else ROOT
    texts = list(texts_below(root))
    if not texts:
        sys.exit(f"{root} has nothing to read; name the directory of the project")
    strays = [(place, stray) for place, text in texts for stray in strays_in(place, text)]
    for place, stray in strays:
        print(f'{place}:{stray.line}: "{stray.found}" is another word; say {stray.say}')
    print(f"words: {len(texts)} files read, {len(strays)} stray words")
    return 1 if strays else 0


def texts_below(root: Path) -> Iterator[tuple[str, str]]:
    """Yield the place and the text of every file to check; a file with a NUL byte is not text."""
    paths = [path for name in DIRECTORIES for path in (root / name).rglob("*")]
    for path in sorted([*paths, *(root / name for name in FILES)]):
        if path.is_file() and b"\0" not in (content := path.read_bytes()):
            yield str(path.relative_to(root)), content.decode()


def strays_in(place: str, text: str) -> list[Stray]:
    """Return the stray words of one file by line; line 0 is its name."""
    named = f"{place}\n{text}"
    return sorted(
        Stray(named.count("\n", 0, match.start()), " ".join(match[0].split()), word.say)
        for word in WORDS
        for match in re.finditer(
            f"{BEGIN}{phrase(word.pattern)}{END}", without(word.allowed, named)
        )
    )


def without(allowed: str, text: str) -> str:
    """Return the text with all that matches the pattern made blank, line breaks kept."""
    if not allowed:
        return text
    return re.sub(phrase(allowed), lambda match: re.sub(r"[^\n]", " ", match[0]), text)


def phrase(pattern: str) -> str:
    """Return a pattern of the table as a regular expression."""
    return f"(?i:{pattern.replace(' ', BLANK)})"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
