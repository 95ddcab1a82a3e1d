"""Queries that several boards ask."""

from deploy.dashboards.model import Panel, Target, Variable

HERE = '{site=~"$site", instance=~"$instance"}'
SITE = '{site=~"$site"}'
RATE = "[$__rate_interval]"
SITES = Variable("site", "label_values(kanhe_ready, site)")
NODES = Variable("instance", 'label_values(kanhe_ready{site=~"$site"}, instance)')


def rate(metric: str, where: str = HERE) -> str:
    """Give the rate of a counter."""
    return f"rate({metric}{where}{RATE})"


def summed(metric: str, by: str, where: str = HERE) -> Target:
    """Give a counter's rate by one label."""
    return Target(f"sum by ({by}) ({rate(metric, where)})", f"{{{{{by}}}}}")


def quantile(share: float, metric: str, by: str = "", where: str = HERE) -> Target:
    """Give a quantile of a histogram, by one label if it is named."""
    labels = f"le, {by}" if by else "le"
    name = f"{{{{{by}}}}} " if by else ""
    return Target(
        f"histogram_quantile({share}, sum by ({labels}) ({rate(f'{metric}_bucket', where)}))",
        f"{name}{share:.0%}")


def decisions(where: str = HERE) -> Panel:
    """Answers by decision."""
    return Panel(title="Answers by decision", unit="reqps",
                 targets=(summed("kanhe_verifications_total", "decision", where),))


def refusals(where: str = HERE) -> Panel:
    """What isn't accepted, by reason."""
    more = where.replace("}", ', decision!="accept"}')
    return Panel(title="Not accepted, by reason", unit="reqps",
                 targets=(summed("kanhe_verifications_total", "reason", more),))


def times(where: str = HERE) -> Panel:
    """How long answers take."""
    return Panel(
        title="Time to answer", unit="s", warn=0.5, bad=1.0,
        words="All stages of a verification in the node, without the network to the gate. Points "
              "on the lines are exemplars: their verification_id is that of the log and journal.",
        targets=tuple(quantile(share, "kanhe_verification_seconds", where=where)
                      for share in (0.5, 0.9, 0.99)))


def signals(where: str = HERE) -> Panel:
    """Signals of misuse."""
    return Panel(title="Signals of misuse in the last hour", kind="bargauge", warn=1, bad=10,
                 targets=(Target(f"sum by (signal) (increase(kanhe_signals_total{where}[1h]))",
                                 "{{signal}}"),),
                 words="See docs/metrics.md for what raises each.")


def stat(title: str, expr: str, legend: str = "{{instance}}", **more: object) -> Panel:
    """Give a number with a colour."""
    return Panel(title=title, targets=(Target(expr, legend),), kind="stat",
                 **{"wide": 4, **more})  # type: ignore[arg-type]
