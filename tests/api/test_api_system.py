from tests.api.calling import Api


def test_a_process_lives_as_long_as_it_answers(api: Api) -> None:
    answer = api.call("GET", "/livez", headers={"Authorization": ""})
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")


def test_a_process_says_why_it_is_not_ready(api: Api) -> None:
    assert api.get("/readyz").json() == {"status": "ok", "reasons": []}
    api.reasons.append("the database is away")
    answer = api.call("GET", "/readyz", headers={"Authorization": ""})
    assert answer.status_code == 503
    assert answer.json() == {"status": "unavailable", "reasons": ["the database is away"]}


def test_metrics_are_shown_as_text(api: Api) -> None:
    api.get("/livez")
    answer = api.call("GET", "/metrics", headers={"Authorization": ""})
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'bridge_requests_total{route="/livez",status="200"}' in answer.text
