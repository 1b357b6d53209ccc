"""Microsoft Graph v1.0, as far as mail needs it."""

from checks.wire.graph.client import GraphAnswer, GraphClient, GraphRequest, NoAnswer
from checks.wire.graph.target import GraphTarget, graph_target

__all__ = ["GraphAnswer", "GraphClient", "GraphRequest", "GraphTarget", "NoAnswer", "graph_target"]
