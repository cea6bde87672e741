"""The dashboard of the sidecar, the quarantine and the fingerprints: what the router does, and what it died of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from panels import BLUE, GREEN, ORANGE, RED, Query, Words, alerts, bars, board, lines, number, variable
from queries import count, of, or_zero, quantile, rate

if TYPE_CHECKING:
    from grafana_foundation_sdk.builders import dashboard


def counts(name: str, label: str) -> Query:
    """How often within the window, by a label."""
    return Query(count(name, label), f"{{{{{label}}}}}")


def router_guard() -> dashboard.Dashboard:
    """Build it."""
    both = '__name__=~"forebay_build_info|forebay_router_sidecar_info"'
    made = board(
        "forebay-router-guard",
        "Router guard",
        "The sidecar of forebay, the quarantine and the fingerprints: how the router is, and what it died of.",
        variable("job", "Job", f"label_values({{{both}}}, job)"),
        variable("instance", "Instance", f'label_values({{{both},job=~"$job"}}, instance)'),
    )
    waits = "forebay_quarantine_oldest_timestamp_seconds"
    panels = (
        alerts(width=8),
        number(Words("Router", "Whether the router runs, on every host.", "short"),
               Query(f"min({of('forebay_router_up')} unless on (job, instance) "
                     f"{of('forebay_router_sidecar_info', adapter='none')}) or vector(1)", "router"),
               (0, RED), (1, GREEN), says={"0": ("down", RED), "1": ("runs", GREEN)}),
        number(Words("Fuse", "Blown: the router itself is taken to be broken, and nothing more is moved.", "short"),
               Query(or_zero(f"max({of('forebay_router_fuse_blown')})"), "fuse"), (0, GREEN), (1, RED),
               says={"0": ("whole", GREEN), "1": ("blown", RED)}),
        number(Words("Set aside", "Messages that lie beside the spool and wait for a person.", "short"),
               Query(or_zero(f"sum({of('forebay_router_quarantine_messages')})"), "set aside"), (0, GREEN), (1, ORANGE)),
        number(Words("Longest wait", "How long the oldest message in quarantine has waited for a person.", "s"),
               Query(or_zero(f"max(time() - ({of(waits)} > 0))"), "longest"), (0, GREEN), (14400, ORANGE), (86400, RED)),
        lines(Words("Memory of workers against their limits",
                    "Each slot's worker. At the brake it is stopped, looked at and ended; at the limit the kernel ends it.", "bytes"),
              Query(f"max by (instance, slot) ({of('forebay_router_worker_memory_bytes')})", "{{instance}} {{slot}}"),
              Query(f"max({of('forebay_router_memory_limit_bytes', kind='brake')})", "brake"),
              Query(f"max({of('forebay_router_memory_limit_bytes', kind='worker')})", "limit of a worker"),
              limits="/^(brake|limit)/"),
        lines(Words("Memory of the router", "The router and all workers, and the most that the worker had which ended last.", "bytes"),
              Query(f"sum by (instance) ({of('forebay_router_memory_bytes')})", "{{instance}}"),
              Query(f"max by (instance) ({of('forebay_router_memory_peak_bytes')})", "{{instance}} peak of a worker"),
              Query(f"max({of('forebay_router_memory_limit_bytes', kind='total')})", "limit of all"),
              limits="/^limit/"),
        lines(Words("Strikes by cause", "Ends of workers that are laid to the message that they held.", "short"),
              counts("forebay_router_strikes_total", "cause"), stacked=True),
        lines(Words("Ends of workers", "Every end of a worker, by the verdict on it.", "short"),
              counts("forebay_router_worker_ends_total", "verdict"), stacked=True),
        lines(Words("OOM kills", "Processes that the kernel killed: at the worker's own limit, or for a limit above it.", "short"),
              counts("forebay_router_oom_kills_total", "limit"), width=6),
        lines(Words("Memory events", "Workers that were throttled, at their limit, or out of memory.", "short"),
              counts("forebay_router_memory_events_total", "event"), width=6),
        lines(Words("Stalls and time-outs", "Workers that were alive and did not get on, or took too long for one message.", "short"),
              counts("forebay_router_stalls_total", "kind"),
              Query(count("forebay_router_timeouts_total"), "too long"), width=6),
        lines(Words("Set aside by cause", "What the messages had done that were set aside.", "short"),
              counts("forebay_router_set_aside_total", "cause"), width=6, stacked=True),
        lines(Words("Spool", "Messages that wait for the router, and those withheld until a trial has ended.", "short"),
              Query(f"sum({of('forebay_router_spool_messages')})", "waiting"),
              Query(f"sum({of('forebay_router_withheld_messages')})", "withheld"), width=6),
        lines(Words("Age of the spool", "How long the oldest message in the spool has waited.", "s"),
              Query(f"max by (instance) ({of('forebay_router_spool_oldest_seconds')})", "{{instance}}"), width=6),
        lines(Words("Workers and restarts", "Live workers of the router, and restarts of all of it.", "short"),
              Query(f"sum({of('forebay_router_workers')})", "workers"),
              Query(count("forebay_router_restarts_total"), "restarts"), width=6),
        lines(Words("Claims", "Messages that workers have done with, or were struck for.", "mps"),
              Query(f"sum by (end) ({rate('forebay_router_claims_total')})", "{{end}}"), width=6),
        lines(Words("Waiting for a person", "Messages in quarantine, in the MTA's hold queue and beside the spool.", "short"),
              Query(f"sum by (kind) ({of('forebay_quarantine_messages')})", "{{kind}}"),
              Query(f"sum({of('forebay_quarantine_full')})", "hosts over quota"), stacked=True),
        bars(Words("Why they wait", "Messages in quarantine by validator or cause.", "short"),
             Query(f"sort_desc(sum by (cause) ({of('forebay_quarantine_reasons')}))", "{{cause}}"), (0, BLUE)),
        lines(Words("Fingerprints", "What is matched, what is suspended, and messages that matched.", "short"),
              Query(f"max by (kind) ({of('forebay_fingerprints')})", "{{kind}}"),
              Query(f"max({of('forebay_fingerprints_suspended')})", "suspended"),
              Query(count("forebay_fingerprint_hits_total"), "matched")),
        lines(Words("Fingerprints published", "Within the last hour, and how many may be; and killers without one.", "short"),
              Query(f"max({of('forebay_fingerprint_additions')})", "published"),
              Query(f"max({of('forebay_fingerprint_additions_limit')})", "limit"),
              Query(count("forebay_router_unpublished_total"), "without a fingerprint"),
              limits="/^limit/", width=6),
        lines(Words("Time to warn the other hosts", "From the publication of a fingerprint to its use: 99 of a hundred.", "s"),
              Query(quantile(0.99, "forebay_fingerprint_propagation_seconds"), "p99"), width=6),
        lines(Words("Store", "1 while the store can be used; how old the fingerprints are that were read from it.", "s"),
              Query(f"min by (instance) ({of('forebay_store_up')})", "{{instance}} up"),
              Query(f"time() - min by (instance) ({of('forebay_fingerprint_snapshot_timestamp_seconds')} > 0)",
                    "{{instance}} age of the fingerprints"), width=6),
        lines(Words("Records", "Records that are not in the store yet, those taken in, and times that the store failed.", "short"),
              Query(f"sum({of('forebay_store_backlog')})", "waiting"),
              counts("forebay_store_intake_total", "record"),
              Query(count("forebay_store_errors_total"), "failures"), width=6),
        lines(Words("Size of the quarantine", "Bytes of the messages that wait for a person.", "bytes"),
              Query(f"sum by (kind) ({of('forebay_quarantine_bytes')})", "{{kind}}"),
              Query(f"sum({of('forebay_router_quarantine_bytes')})", "set aside"), width=6),
        lines(Words("Room on disk", "What is free where state, and messages set aside, are kept.", "percentunit"),
              Query(f"min by (instance) ({of('forebay_state_available_bytes')} / {of('forebay_state_size_bytes')})",
                    "{{instance}} state"),
              Query(f"min by (instance) ({of('forebay_router_spool_available_bytes')} / "
                    f"{of('forebay_router_spool_size_bytes')})", "{{instance}} spool"), width=6, most=1),
        lines(Words("Time to the verdict, and aside", "From a worker's end to the verdict on it, and to its message set aside.", "s"),
              Query(quantile(0.99, "forebay_router_detection_seconds"), "verdict p99"),
              Query(quantile(0.99, "forebay_router_set_aside_seconds"), "set aside p99"), width=6),
        lines(Words("What was not seen", "Ends that nobody can lay to a message, lost records of the kernel, and a journal that failed.",
                    "short"),
              Query(count("forebay_router_unattributed_ends_total"), "unattributed ends"),
              Query(count("forebay_router_claim_overflows_total"), "lost records"),
              Query(count("forebay_router_journal_errors_total"), "journal failures"), width=6),
        lines(Words("Gate", "Messages at the gate of the spool.", "mps"),
              Query(f"sum by (action) ({rate('forebay_router_gate_messages_total')})", "{{action}}"), width=6),
        lines(Words("Closed", "Entries of the quarantine by what became of them.", "short"),
              Query(f"sum by (state) ({of('forebay_quarantine_closed')})", "{{state}}"), width=6),
    )  # fmt: skip
    for place, panel in enumerate(panels, 1):
        made.with_panel(panel.id(place))
    return made
