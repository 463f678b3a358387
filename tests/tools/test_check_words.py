"""The word check, run on small projects made for the purpose."""

import runpy
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "check_words.py"
check: Callable[[Sequence[str]], int] = runpy.run_path(str(TOOL))["main"]


def project(root: Path, **texts: str) -> list[str]:
    """Write texts below bridge/ and return the tool's arguments."""
    (root / "bridge").mkdir()
    for name, text in texts.items():
        (root / "bridge" / f"{name}.py").write_text(text)
    return [str(root)]


@pytest.mark.parametrize(
    ("text", "word", "say"),
    [
        ("every user has one", "user", "tenant"),
        ("the org's wallet", "org", "tenant"),
        ("account_id = 1", "account", "tenant or wallet"),
        ("class TenantAccount:", "Account", "tenant or wallet"),
        ("SHOPS = 3", "SHOPS", "storefront"),
        ("your shop is away", "shop", "storefront"),
        ("tenant_credits = 5", "tenant_credits", "balance"),
        ("you have 12 credits", "12 credits", "balance"),
        ("no funds", "funds", "balance"),
        ("transaction = post(draft)", "transaction", "entry, draft or outcome"),
        ("def list_transactions():", "transactions", "entry, draft or outcome"),
        ("each movement", "movement", "entry"),
        ("charge the tenant", "charge", "debit"),
        ("to spend it", "spend", "debit"),
        ("a top-up", "top-up", "deposit"),
        ("topup_amount", "topup", "deposit"),
        ("Top up your wallet", "Top up", "deposit"),
        ("recharged", "recharged", "deposit"),
        ("delta = target - posted", "delta", "drift"),
        ("orderDiff", "Diff", "drift"),
        ("a rollback of the entry", "rollback", "reversal"),
        ("a correction", "correction", "adjustment"),
        ("freeze the amount", "freeze", "hold"),
        ("authorised amount", "authorised", "hold"),
        ("an orphaned order", "orphaned", "held order"),
        ("poll_job", "job", "run"),
        ("the watermark", "watermark", "cursor"),
        ("on_post_hook", "hook", "hint"),
        ("a callback", "callback", "hint or event"),
        ("order history", "history", "statement"),
        ("a mutex", "mutex", "lease"),
    ],
)
def test_another_word_is_found_with_the_one_to_say(
    text: str, word: str, say: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(project(tmp_path, a=f"first = 1\n\n{text}\n")) == 1
    found, summary = capsys.readouterr().out.splitlines()
    assert found.startswith(f'bridge/a.py:3: "{word}" is another word; say {say}')
    assert summary == "words: 1 files read, 1 stray words"


@pytest.mark.parametrize(
    "text",
    [
        '"User-Agent": customer_user_agent',
        "DynamicUser=yes and PrivateUsers=yes",
        "its own Unix user",
        "postgresql://user@host/name",
        "storefront.example.org",
        "the contra account of an entry",
        "a shopper's shop_order, woocommerce_rest_shop_order_invalid_id",
        "an order credits its total",
        "transaction_id, has_transaction_id and the transaction id",
        "in one transaction, the same transaction, a database transaction",
        "in one\n    # transaction, and in the same\n- transaction",
        "a chargeback and a surcharge",
        'Button("Top up")',
        "timedelta(days=1)",
        "git diff, ruff format --diff",
        "connection.rollback()",
        "gc.freeze() and frozen=True",
        "scheduler.add_job(task, id=event.job_id) on EVENT_JOB_MISSED",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "a webhook, sys.excepthook",
        "future.add_done_callback(done); @app.callback()",
        "git history",
    ],
)
def test_other_peoples_names_are_let_be(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(project(tmp_path, a=text)) == 0
    assert capsys.readouterr().out == "words: 1 files read, 0 stray words\n"


def test_an_allowance_covers_its_own_place_and_not_the_whole_line(tmp_path: Path) -> None:
    assert check(project(tmp_path, a="the User-Agent of a user")) == 1


def test_stray_words_are_listed_in_the_order_of_reading(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check(project(tmp_path, b="a mutex\na user\n", a="a shop"))
    places = [line.split(": ")[0] for line in capsys.readouterr().out.splitlines()[:-1]]
    assert places == ["bridge/a.py:1", "bridge/b.py:1", "bridge/b.py:2"]


def test_the_name_of_a_file_counts_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(project(tmp_path, history="")) == 1
    assert capsys.readouterr().out.startswith('bridge/history.py:0: "history"')


def test_the_texts_beside_the_package_are_read_and_other_files_are_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "docs" / "decisions").mkdir(parents=True)
    for name in (
        "docs/decisions/0001-a.md",
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "config.example.toml",
        "notes.md",
    ):
        (tmp_path / name).write_text("a shop")
    (tmp_path / "docs" / "picture.png").write_bytes(b"\x89PNG\x00 shop \xff")
    assert check([str(tmp_path)]) == 1
    places = {line.split(":")[0] for line in capsys.readouterr().out.splitlines()[:-1]}
    assert places == {
        "docs/decisions/0001-a.md",
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "config.example.toml",
    }


def test_a_directory_with_nothing_to_read_is_a_mistake_and_not_a_success(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="nothing to read; name the directory of the project"):
        check([str(tmp_path / "brigde")])
