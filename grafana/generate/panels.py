"""The kinds of panels that the dashboards are made of: those that Grafana's own UI library draws as well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from grafana_foundation_sdk.builders import bargauge, common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.models import common as shapes
from grafana_foundation_sdk.models import dashboard as models

SOURCE: Final = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
GREEN: Final = "green"
ORANGE: Final = "orange"
RED: Final = "red"
BLUE: Final = "blue"
FIRING: Final = 'ALERTS{alertname=~"Forebay.*",alertstate="firing",instance=~"$instance"}'

Colour = Literal["green", "orange", "red", "blue"]
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
    words: Words, *queries: Query, width: int = 12, stacked: bool = False, limits: str = "", most: float | None = None
) -> Panel:
    """Series over time. Those whose names match `limits` are drawn as dashed red lines."""
    panel = (
        timeseries.Panel()
        .legend(
            common.VizLegendOptions()
            .display_mode(shapes.LegendDisplayMode.LIST).placement(shapes.LegendPlacement.BOTTOM).show_legend(True)
        )
        .tooltip(common.VizTooltipOptions().mode(shapes.TooltipDisplayMode.MULTI).sort(shapes.SortOrder.DESCENDING))
        .line_width(1).fill_opacity(30 if stacked else 10).show_points(shapes.VisibilityMode.NEVER).min(0)
    )  # fmt: skip
    if most is not None:
        panel.max(most)
    if stacked:
        panel.stacking(common.StackingConfig().mode(shapes.StackingMode.NORMAL).group("A"))
    if limits:
        panel.override_by_regexp(
            limits,
            [
                models.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": RED}),
                models.DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [10, 10]}),
                models.DynamicConfigValue("custom.fillOpacity", 0),
            ],
        )
    for query in queries:
        panel.with_target(_target(query))
    return (
        panel.title(words.title)
        .description(words.description)
        .unit(words.unit)
        .span(width)
        .height(8)
        .datasource(SOURCE)
    )


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
        .thresholds(_thresholds(steps))
        .with_target(_target(query, instant=True))
    )  # fmt: skip
    if says:
        options = {value: models.ValueMappingResult(text, colour) for value, (text, colour) in says.items()}
        panel.mappings([models.ValueMap(options)])
    return (
        panel.title(words.title)
        .description(words.description)
        .unit(words.unit)
        .span(width)
        .height(5)
        .datasource(SOURCE)
    )


def bars(words: Words, query: Query, *steps: tuple[float, Colour], width: int = 12) -> Panel:
    """A bar for each series, as it is now."""
    panel = (
        bargauge.Panel()
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .orientation(shapes.VizOrientation.HORIZONTAL).display_mode(shapes.BarGaugeDisplayMode.BASIC)
        .thresholds(_thresholds(steps)).min(0)
        .with_target(_target(query, instant=True))
    )  # fmt: skip
    return (
        panel.title(words.title)
        .description(words.description)
        .unit(words.unit)
        .span(width)
        .height(8)
        .datasource(SOURCE)
    )


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


def _thresholds(steps: tuple[tuple[float, Colour], ...]) -> dashboard.ThresholdsConfig:
    """The first step holds for whatever is less as well."""
    made = [models.Threshold(None if number == 0 else value, colour) for number, (value, colour) in enumerate(steps)]
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(made)


def _target(query: Query, *, instant: bool = False) -> prometheus.Dataquery:
    made = prometheus.Dataquery().expr(query.expression).legend_format(query.legend).datasource(SOURCE)
    return made.instant() if instant else made.range()
