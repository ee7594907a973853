"""A store and what brings objects into it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from node_peers import config

from medseg.service.node.config import NodeConfig
from medseg.service.node.incoming import Incoming
from medseg.service.node.store import NodeStore


@pytest.fixture
def settings(tmp_path: Path) -> NodeConfig:
    return config(tmp_path)


@pytest.fixture
def store(settings: NodeConfig) -> Iterator[NodeStore]:
    with NodeStore(settings.folder) as opened:
        yield opened


@pytest.fixture
def incoming(store: NodeStore, settings: NodeConfig) -> Iterator[Incoming]:
    with Incoming(store, settings.incoming, spare=0) as kept:
        yield kept
