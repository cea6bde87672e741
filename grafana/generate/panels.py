"""The kinds of panels that the dashboards are made of: those that Grafana's own UI library draws as well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from grafana_foundation_sdk.builders import bargauge, common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.models import common as shapes
from grafana_foundation_sdk.models import dashboard as models

if TYPE_CHECKING:
    from collections.abc import Mapping

SOURCE: Final = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
GREEN: Final = "green"
ORANGE: Final = "orange"
RED: Final = "red"
BLUE: Final = "blue"
PURPLE: Final = "purple"
FIRING: Final = 'ALERTS{alertname=~"Forebay.*",alertstate="firing",instance=~"$instance"}'

ACTIONS: Final = {"accept": GREEN, "tag": BLUE, "quarantine": ORANGE, "tempfail": PURPLE, "reject": RED}
"""The colours of what is done with mail, the same wherever it is shown."""
SOFT_MAX: Final = {"short": 1, "mps": 0.1, "ops": 0.1}
"""Units whose axis ends here while there is nothing: Grafana's own axis ends at 100 then."""

WIDE: Final = 12
"""Columns, of 24, from which on there is room for a table beside the lines."""

Colour = Literal["green", "orange", "red", "blue", "purple"]
Panel = timeseries.Panel | stat.Panel | bargauge.Panel


@dataclass(frozen=True, slots=True)
class Query:
    """An expression, and what its series are called."""

    expression: str
    legend: str


@dataclass(frozen=True, slots=True)
class Words:
    """What a panel says of itself."""

    title: str
    description: str
    unit: str


def lines(
    words: Words, *queries: Query, width: int = 12, stacked: bool = False, limits: str = "", most: float | None = None,
    colours: Mapping[str, str] | None = None,
) -> Panel:  # fmt: skip
    """Series over time. Those whose names match `limits` are drawn as dashed red lines; `colours`: of some, by name.

    Where there is room the legend is a table with what was most on top, so that what happened stands first.
    """
    panel = (
        timeseries.Panel()
        .legend(_table() if width >= WIDE else _row())
        .tooltip(common.VizTooltipOptions().mode(shapes.TooltipDisplayMode.MULTI).sort(shapes.SortOrder.DESCENDING))
        .color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.PALETTE_CLASSIC))
        .line_width(1).fill_opacity(30 if stacked else 10).show_points(shapes.VisibilityMode.NEVER).min(0)
    )  # fmt: skip
    if words.unit in SOFT_MAX:
        panel.axis_soft_max(SOFT_MAX[words.unit])
    if words.unit == "short":
        panel.decimals(0)
    if most is not None:
        panel.max(most)
    if stacked:
        panel.stacking(common.StackingConfig().mode(shapes.StackingMode.NORMAL).group("A"))
    for name, colour in (colours or {}).items():
        panel.override_by_name(name, [_fixed(colour)])
    if limits:
        dashes = models.DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [10, 10]})
        panel.override_by_regexp(limits, [_fixed(RED), dashes, models.DynamicConfigValue("custom.fillOpacity", 0)])
    for query in queries:
        panel.with_target(_target(query))
    return _placed(panel, words, width, height=8)


def number(
    words: Words, query: Query, *steps: tuple[float, Colour], width: int = 4, says: dict[str, tuple[str, Colour]] | None = None,
    names: bool = False,
) -> Panel:  # fmt: skip
    """One number as large as can be, in the colour of the last step that it has reached; `says`: words for numbers."""
    panel = (
        stat.Panel()
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .color_mode(shapes.BigValueColorMode.BACKGROUND).graph_mode(shapes.BigValueGraphMode.NONE)
        .text_mode(shapes.BigValueTextMode.NAME if names else shapes.BigValueTextMode.VALUE)
        .orientation(shapes.VizOrientation.HORIZONTAL if names else shapes.VizOrientation.AUTO)
        .thresholds(_thresholds(steps))
        .with_target(_target(query, instant=True))
    )  # fmt: skip
    if says:
        options = {value: models.ValueMappingResult(text, colour) for value, (text, colour) in says.items()}
        panel.mappings([models.ValueMap(options)])
    return _placed(panel, words, width, height=5)


def bars(words: Words, query: Query, *steps: tuple[float, Colour], width: int = 12) -> Panel:
    """A bar for each series, as it is now."""
    panel = (
        bargauge.Panel()
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .orientation(shapes.VizOrientation.HORIZONTAL).display_mode(shapes.BarGaugeDisplayMode.BASIC)
        .thresholds(_thresholds(steps)).min(0)
        .with_target(_target(query, instant=True))
    )  # fmt: skip
    return _placed(panel, words, width, height=8)


def alerts(width: int) -> Panel:
    """What is wrong, in one word: the names of the alerts that fire."""
    nothing = f'(label_replace(vector(0), "alertname", "no alert fires", "", "") unless on () {FIRING})'
    return number(
        Words("Alerts", "The alerts of forebay that fire; each has its section in runbooks.md.", "short"),
        Query(f"sum by (alertname) ({FIRING}) or {nothing}", "{{alertname}}"),
        (0, GREEN), (1, RED), width=width, names=True,
    )  # fmt: skip


def variable(name: str, label: str, query: str) -> dashboard.QueryVariable:
    """A variable whose values Prometheus knows; all of them at first."""
    return (
        dashboard.QueryVariable(name)
        .label(label).query(query).datasource(SOURCE).multi(True).include_all(True).all_value(".*")
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(models.VariableSort.ALPHABETICAL_ASC)
        .current(models.VariableOption(selected=True, text="All", value="$__all"))
    )  # fmt: skip


def board(uid: str, title: str, description: str, *variables: dashboard.QueryVariable) -> dashboard.Dashboard:
    """A dashboard without panels."""
    made = (
        dashboard.Dashboard(title)
        .uid(uid).description(description).tags(["forebay", "mail"]).readonly().refresh("30s").time("now-3h", "now")
        .timezone("browser").tooltip(models.DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .link(dashboard.DashboardLink("forebay").type(models.DashboardLinkType.DASHBOARDS).tags(["forebay"])
              .include_vars(True).keep_time(True))
    )  # fmt: skip
    for each in variables:
        made.with_variable(each)
    return made


def _placed(panel: Panel, words: Words, width: int, height: int) -> Panel:
    panel.title(words.title).description(words.description).unit(words.unit)
    return panel.span(width).height(height).datasource(SOURCE)


def _thresholds(steps: tuple[tuple[float, Colour], ...]) -> dashboard.ThresholdsConfig:
    """The first step holds for whatever is less as well."""
    made = [models.Threshold(None if number == 0 else value, colour) for number, (value, colour) in enumerate(steps)]
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(made)


def _fixed(colour: str) -> models.DynamicConfigValue:
    return models.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour})


def _row() -> common.VizLegendOptions:
    return (
        common.VizLegendOptions()
        .display_mode(shapes.LegendDisplayMode.LIST).placement(shapes.LegendPlacement.BOTTOM).show_legend(True)
    )  # fmt: skip


def _table() -> common.VizLegendOptions:
    return (
        common.VizLegendOptions()
        .display_mode(shapes.LegendDisplayMode.TABLE).placement(shapes.LegendPlacement.RIGHT).show_legend(True)
        .calcs(["max"]).sort_by("Max").sort_desc(True)
    )  # fmt: skip


def _target(query: Query, *, instant: bool = False) -> prometheus.Dataquery:
    made = prometheus.Dataquery().expr(query.expression).legend_format(query.legend).datasource(SOURCE)
    return made.instant() if instant else made.range()
