from bridge.domain.clock import DAY, parse
from bridge.domain.drift import Comparison, Finding, FindingKind
from bridge.domain.errors import LeaseHeldError
from bridge.store import runs
from tests.api.calling import Api, code, fields

PATH = "/v1/reconciliations"
NOW = parse("2026-11-22T12:00:00Z")


def test_a_reconciliation_is_accepted_and_can_be_followed(money: Api) -> None:
    answer = money.post(PATH, {"storefront": "main"})
    assert answer.status_code == 202
    run = answer.json()
    assert answer.headers["Location"] == f"{PATH}/{run['id']}"
    assert run["storefront"] == "main"
    assert run["status"] == "running"
    assert run["request"]["since"] == "2026-10-23T12:00:00.000000Z"
    assert money.compared == [Comparison("main", NOW - 30 * DAY, NOW)]
    followed = money.get(answer.headers["Location"]).json()
    assert followed == run | {"findings": [], "next_cursor": None}


def test_a_reconciliation_compares_what_it_is_told_to(api: Api) -> None:
    api.post(
        PATH,
        {
            "storefront": "main",
            "since": "2026-01-01",
            "until": "2026-02-01T01:00:00+01:00",
            "order_id": 17,
            "dry_run": True,
            "accept_vanished": True,
        },
    )
    since, until = parse("2026-01-01"), parse("2026-02-01T00:00:00Z")
    expected = Comparison("main", since, until, 17, dry_run=True, accept_vanished=True)
    assert api.compared == [expected]


def test_findings_come_in_pages(money: Api) -> None:
    run_id = money.post(PATH, {"storefront": "main"}).json()["id"]
    found = [
        Finding(FindingKind.PAID_NOT_CREDITED, "main", n, "acme", "EUR", 500, 200, "because")
        for n in (7, 8, 9)
    ]
    with money.database.write() as tx:
        runs.add_findings(tx, run_id, found)
        runs.finish(tx, run_id, NOW, {"credited": 2})
    first = money.get(f"{PATH}/{run_id}", limit=2).json()
    second = money.get(f"{PATH}/{run_id}", limit=2, cursor=first["next_cursor"]).json()
    assert first["status"] == "done"
    assert first["counts"] == {"credited": 2}
    assert first["finished_at"] == "2026-11-22T12:00:00.000000Z"
    assert first["findings"][0] == {
        "kind": "paid_not_credited",
        "storefront": "main",
        "order_id": 7,
        "tenant_id": "acme",
        "currency": "EUR",
        "target": 500,
        "posted": 200,
        "drift": 300,
        "detail": "because",
    }
    assert [one["order_id"] for one in second["findings"]] == [9]
    assert second["next_cursor"] is None


def test_an_unknown_storefront_is_a_404_that_names_the_known_ones(api: Api) -> None:
    answer = api.post(PATH, {"storefront": "mian"})
    assert code(answer) == (404, "storefront_not_found")
    assert "closed, main" in answer.json()["detail"]
    assert api.compared == []


def test_a_senseless_window_is_refused_by_name(api: Api) -> None:
    for window in (
        {"since": "2026-02-01", "until": "2026-01-01"},
        {"since": "2026-02-01", "until": "2026-02-01"},
        {"since": "2027-01-01"},
        {"since": "2026-01-01T00:00:00"},
        {"since": "yesterday"},
        {"since": 1},
        {"since": True},
        {"since": "0001-01-01T00:00:00+23:59"},
    ):
        assert fields(api.post(PATH, {"storefront": "main", **window})) == ["since"], window
    for more in ({"order_id": 0}, {"order_id": "17"}, {"order_id": 2**63}, {"dry_run": 1}):
        assert fields(api.post(PATH, {"storefront": "main", **more})) == list(more)
    assert api.compared == []


def test_a_run_that_is_on_already_is_a_503(api: Api) -> None:
    def held(_comparison: Comparison) -> str:
        raise LeaseHeldError("another process reconciles main; try again later")

    api.serve(api.services._replace(reconcile=held))
    answer = api.post(PATH, {"storefront": "main"})
    assert code(answer) == (503, "lease_held")
    assert "try again" in answer.json()["detail"]


def test_an_unknown_run_is_a_404(api: Api) -> None:
    assert code(api.get(f"{PATH}/run_00")) == (404, "not_found")
    assert fields(api.get(f"{PATH}/%00")) == ["run_id"]
