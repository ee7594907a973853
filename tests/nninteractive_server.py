"""An imitation of an nnInteractive server, and of its client where that is not installed; finds what is bright."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from local_server import app_served
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from medseg.review.server.listening import listen

LICENSE, THRESHOLD = "CC BY-NC-SA 4.0", 50.0


class Bright:
    """State of a server with one session; `told` has what it was told, in turn."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.leases = 0
        self.image: Any = None

    def found(self) -> Any:
        return (self.image[0] > THRESHOLD).astype(np.uint8)


class Client:
    """The client's public methods, on a server in the same process."""

    def __init__(self, server: Bright) -> None:
        self.server, self.license, self.target_buffer = server, LICENSE, None
        if server.leases:
            raise RuntimeError("server is at capacity")
        server.leases += 1

    def close(self) -> None:
        self.server.leases = 0

    def set_image(self, image: Any, image_properties: Any = None) -> None:
        self.server.image = image
        self.server.told.append(("image", image.shape, image_properties))

    def set_target_buffer(self, buffer: Any) -> None:
        self.target_buffer = buffer

    def reset_interactions(self) -> None:
        self.target_buffer[:] = 0
        self.server.told.append(("reset",))

    def add_initial_seg_interaction(self, mask: Any, run_prediction: bool = False) -> None:
        self.target_buffer[:] = mask
        self.server.told.append(("mask", int(mask.sum()), run_prediction))

    def add_point_interaction(self, at: Any, include_interaction: bool, run_prediction: bool = True) -> None:
        self._answer(("point", list(at), include_interaction, run_prediction))

    def add_scribble_interaction(self, drawn: Any, include_interaction: bool, run_prediction: bool = True) -> None:
        self._answer(("scribble", int(drawn.sum()), include_interaction, run_prediction))

    def _answer(self, told: Any) -> None:
        self.server.told.append(told)
        if told[-1]:
            self.target_buffer[:] = self.server.found()


@contextmanager
def serving_nninteractive(server: Bright) -> Iterator[str]:
    """Speak the protocol of nnInteractive's client, which must be installed; yield the address."""
    from nnInteractive.inference.remote.serialization import pack_array, unpack_array

    def claimed(_: Request) -> Response:
        if server.leases:
            return JSONResponse({"detail": "server is at capacity"}, 503)
        server.leases += 1
        return JSONResponse({"lease_token": "one", "idle_timeout_seconds": 600, "liveness_timeout_seconds": 0})

    def released(_: Request) -> Response:
        server.leases = 0
        return JSONResponse({})

    def capabilities(_: Request) -> Response:
        known = {"supported_interactions": {"points": True, "scribble": True}, "channel_mapping": {"prev_seg": 0}}
        flags = {"supports_initial_label": True, "supports_zero_shot_label_refinement": True, "do_autozoom": True}
        more = {"num_interaction_channels": 7, "preferred_scribble_thickness": [2, 2, 2], "interaction_decay": 0.98}
        return JSONResponse({**known, **flags, **more, "inference_session_version": "2", "license": LICENSE})

    async def image(request: Request) -> Response:
        server.image = unpack_array(await request.body())
        server.told.append(("image", server.image.shape, json.loads(request.headers["x-meta"])["image_properties"]))
        return JSONResponse({"original_image_shape": list(server.image.shape)})

    def nothing(request: Request) -> Response:
        if request.url.path == "/reset_interactions":
            server.told.append(("reset",))
        return JSONResponse({"remaining_seconds": 600})

    def answer(runs: bool) -> Response:
        if not runs:
            return Response(headers={"X-Meta": json.dumps({"ran_prediction": False, "bbox": None})})
        found = server.found()
        meta = {"ran_prediction": True, "bbox": [[0, n] for n in found.shape]}
        return Response(pack_array(found), headers={"X-Meta": json.dumps(meta)})

    async def point(request: Request) -> Response:
        given = await request.json()
        server.told.append(("point", *(given[key] for key in ("coordinates", "include_interaction", "run_prediction"))))
        return answer(given["run_prediction"])

    async def masked(request: Request) -> Response:
        mask, meta = unpack_array(await request.body()), json.loads(request.headers["x-meta"])
        if request.url.path == "/add_initial_seg_interaction":
            server.told.append(("mask", int(mask.sum()), meta["run_prediction"]))
        else:
            server.told.append(("scribble", int(mask.sum()), meta["include_interaction"], meta["run_prediction"]))
        return answer(meta["run_prediction"])

    posts = {
        "claim": claimed,
        "release": released,
        "heartbeat": nothing,
        "set_image": image,
        "reset_interactions": nothing,
    }
    posts |= {"set_target_buffer": nothing, "add_point_interaction": point, "add_scribble_interaction": masked}
    posts |= {"add_initial_seg_interaction": masked}
    routes = [Route(f"/{name}", made, methods=["POST"]) for name, made in posts.items()]
    app = Starlette(routes=[*routes, Route("/capabilities", capabilities)])
    with listen("127.0.0.1", 0) as opened, app_served(app, opened):
        yield f"http://127.0.0.1:{opened.getsockname()[1]}"
