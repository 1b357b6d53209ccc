"""The agent as Prometheus sees it: every metric, built from its state and its ledger at the moment of the scrape."""

from agent.metrics.collector import FAMILIES, Collector
from agent.metrics.exposition import Exposition, Format
from agent.metrics.picture import Picture

__all__ = ["FAMILIES", "Collector", "Exposition", "Format", "Picture"]
