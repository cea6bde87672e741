"""The dashboard of the milter: what is refused and why, how fast, and what it could not do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from panels import BLUE, GREEN, ORANGE, RED, Query, Words, alerts, bars, board, lines, number, variable
from queries import count, of, or_none, or_zero, quantile, rate

if TYPE_CHECKING:
    from grafana_foundation_sdk.builders import dashboard


def mail_gate() -> dashboard.Dashboard:
    """Build it."""
    made = board(
        "forebay-mail-gate",
        "Mail gate",
        "The milter of forebay: what is refused and why, how fast, and what it could not do.",
        variable("job", "Job", "label_values(forebay_build_info, job)"),
        variable("instance", "Instance", 'label_values(forebay_build_info{job=~"$job"}, instance)'),
        variable("validator", "Validator", f"label_values({of('forebay_findings_total')}, validator)"),
    )
    refused = rate("forebay_messages_total", action="~reject|quarantine|tempfail")
    share = f"sum({refused}) / (sum({rate('forebay_messages_total')}) > 0)"
    failed = ("forebay_failures_total", "forebay_connections_refused_total", "forebay_sessions_cut_total")
    panels = (
        alerts(width=8),
        number(Words("Workers", "Workers that serve, of all hosts that are chosen; without one no mail is judged.", "short"),
               Query(or_zero(f"sum({of('forebay_workers')})"), "workers"), (0, RED), (1, GREEN)),
        number(Words("Refused", "The share of the mail that is refused, held or put off.", "percentunit"),
               Query(or_zero(share), "refused"), (0, GREEN), (0.2, ORANGE), (0.5, RED)),
        number(Words("Failures", "Sessions that failed, were too many or were cut, lately. The MTA puts such mail off.", "short"),
               Query(" + ".join(count(each) for each in failed), "failures"), (0, GREEN), (1, RED)),
        number(Words("Configuration", "Whether the configuration that was read last is in use, on every host.", "short"),
               Query(f"min({of('forebay_config_last_reload_successful')})", "configuration"), (0, RED), (1, GREEN),
               says={"0": ("refused", RED), "1": ("in use", GREEN)}),
        lines(Words("Messages by action", "What was done with the mail.", "mps"),
              Query(f"sum by (action) ({rate('forebay_messages_total')})", "{{action}}"), stacked=True),
        lines(Words("Findings by validator", "The eight validators that find most. A message can have several findings.", "ops"),
              Query(f"topk(8, sum by (validator) ({rate('forebay_findings_total', validator='~$validator')}))",
                    "{{validator}}")),
        bars(Words("Findings in this time", "How often each validator found something in the time that is shown, the ten first.",
                   "short"),
             Query("round(topk(10, sum by (validator) "
                   f"(increase({of('forebay_findings_total', validator='~$validator')}[$__range]))))", "{{validator}}"), (0, BLUE)),
        lines(Words("Not done, only observed", "What the preset observe kept from being done.", "mps"),
              Query(f"sum by (action) ({rate('forebay_messages_observed_total')})", "{{action}}"), stacked=True),
        lines(Words("Time to the verdict", "From the end of the header to the verdict: half, 95 and 99 of a hundred.", "s"),
              *(Query(quantile(each, "forebay_verdict_duration_seconds"), f"p{round(each * 100)}") for each in (0.5, 0.95, 0.99))),
        lines(Words("Size of headers", "Of the headers that were judged: half, and 99 of a hundred.", "bytes"),
              *(Query(quantile(each, "forebay_header_bytes"), f"p{round(each * 100)}") for each in (0.5, 0.99))),
        lines(Words("Sessions open", "Milter sessions that are open now: the load.", "short"),
              Query(f"sum by (instance) ({of('forebay_connections')})", "{{instance}}"), width=6),
        lines(Words("Sessions", "Sessions begun, and recipients that were refused in answer to RCPT.", "ops"),
              Query(f"sum({rate('forebay_sessions_total')})", "sessions"),
              Query(f"sum({rate('forebay_recipients_rejected_total')})", "recipients refused"), width=6),
        lines(Words("Failures by kind", "Why mail was put off by forebay itself, or cut.", "short"),
              Query(count("forebay_failures_total"), "forebay's own failure"),
              Query(count("forebay_connections_refused_total"), "too many sessions"),
              Query(count("forebay_sessions_cut_total"), "cut with their worker")),
        lines(Words("Validators in trouble", "Validators that failed or hung, and workers in which they are benched.", "short"),
              Query(or_none(count("forebay_validator_errors_total", "validator"), "validator"),
                    "{{validator}} failed"),
              Query(or_none(count("forebay_hangs_total", "validator"), "validator"), "{{validator}} hung"),
              Query(or_none(f"sum by (validator) ({of('forebay_validator_benched')})", "validator"),
                    "{{validator}} benched")),
        lines(Words("Ends of workers", "Workers by the reason of their end, and ends of the template and the keeper.", "short"),
              Query(count("forebay_worker_ends_total", "reason"), "{{reason}}"),
              Query(count("forebay_helper_ends_total", "process"), "{{process}}")),
        lines(Words("Reloads", "Configurations that were taken, and refused.", "short"),
              Query(count("forebay_reloads_total", "result"), "{{result}}"), width=6),
        lines(Words("Age of the configuration", "How long ago the configuration in use was read.", "s"),
              Query(f"time() - max by (instance) ({of('forebay_config_last_reload_success_timestamp_seconds')})",
                    "{{instance}}"), width=6),
    )  # fmt: skip
    for place, panel in enumerate(panels, 1):
        made.with_panel(panel.id(place))
    return made
