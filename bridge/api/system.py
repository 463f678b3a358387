"""What machines ask a process: does it live, is it ready, what does it count."""

from fastapi import APIRouter, Response

from bridge import metrics
from bridge.api.answers import Health
from bridge.api.services import DeskHere

router = APIRouter(tags=["system"])


@router.get("/livez")
async def livez() -> Health:
    """Answer as long as the process serves requests at all."""
    return Health(status="ok")


@router.get("/readyz", responses={503: {"model": Health, "description": "Not ready."}})
async def readyz(desk: DeskHere, response: Response) -> Health:
    """Say whether requests can be served, and why not."""
    reasons = await desk.call(desk.services.ready)
    response.status_code = 503 if reasons else 200
    return Health(status="unavailable" if reasons else "ok", reasons=reasons)


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def show_metrics() -> Response:
    """Show all metrics as text, as Prometheus reads it."""
    body, media_type = metrics.exposition()
    return Response(body, media_type=media_type)
