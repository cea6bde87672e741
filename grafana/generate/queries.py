"""Expressions, of the hosts that are chosen and within Grafana's own window."""

from __future__ import annotations

from typing import Final

_WINDOW: Final = "$__rate_interval"


def of(name: str, **labels: str) -> str:
    """A metric with these labels; a value that begins with ~ is a regular expression."""
    given = [f'{key}=~"{value[1:]}"' if value[0] == "~" else f'{key}="{value}"' for key, value in labels.items()]
    matchers = ",".join(['job=~"$job"', 'instance=~"$instance"', *given])
    return f"{name}{{{matchers}}}"


def rate(name: str, **labels: str) -> str:
    """How often a second."""
    return f"rate({of(name, **labels)}[{_WINDOW}])"


def count(name: str, by: str = "", **labels: str) -> str:
    """How often within the window: a whole number, whatever Prometheus interpolates."""
    return f"round(sum{f' by ({by})' if by else ''} (increase({of(name, **labels)}[{_WINDOW}])))"


def quantile(share: float, name: str) -> str:
    """What this share of the events did not exceed; 0 where there were none."""
    return f"(histogram_quantile({share}, sum by (le) ({rate(f'{name}_bucket')})) >= 0) or vector(0)"


def or_zero(expression: str) -> str:
    """0 where there is none."""
    return f"{expression} or vector(0)"


def or_none(expression: str, label: str) -> str:
    """The series that are above 0, or one called none."""
    return f'{expression} > 0 or label_replace(vector(0), "{label}", "none", "", "")'
