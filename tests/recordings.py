"""What a real WooCommerce 10.5 storefront answered and delivered (tests/recorded/)."""

import json
from pathlib import Path
from typing import Any

_RECORDED = Path(__file__).parent / "recorded"


def load(name: str) -> dict[str, Any]:
    """Return one recording: `request` and `response`, or a webhook's `headers` and `body_raw`."""
    recording: dict[str, Any] = json.loads((_RECORDED / f"{name}.json").read_text("utf-8"))
    return recording


def body(name: str) -> Any:
    """Return the JSON that was answered or delivered."""
    recording = load(name)
    return json.loads(recording.get("response", recording)["body_raw"])


def names(prefix: str) -> list[str]:
    """Return the names of the recordings that begin so, sorted."""
    return sorted(path.stem for path in _RECORDED.glob(f"{prefix}*.json"))
