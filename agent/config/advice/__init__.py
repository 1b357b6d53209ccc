"""What settings may say, but what will not do what was meant. Each rule is one function; `RULES` lists them all."""

from __future__ import annotations

from datetime import date

from agent.config.advice.hosts import HOST_RULES
from agent.config.advice.paging import PAGING_RULES
from agent.config.advice.proof import PROOF_RULES
from agent.config.advice.providers import PROVIDER_RULES
from agent.config.advice.rule import Advice, Context, Rule
from agent.config.advice.service import SERVICE_RULES
from agent.config.advice.upkeep import UPKEEP_RULES
from agent.config.settings import Sections

RULES: tuple[Rule, ...] = (*HOST_RULES, *PROOF_RULES, *SERVICE_RULES, *PROVIDER_RULES, *UPKEEP_RULES, *PAGING_RULES)

__all__ = ["RULES", "Advice", "advise"]


def advise(sections: Sections, today: date) -> list[Advice]:
    """Return what every rule has to say about valid *sections*."""
    context = Context(sections, today)
    return [advice for rule in RULES for advice in rule(context)]
