"""Grafana dashboards as typed code: `python -m deploy.dashboards` writes `deploy/grafana`."""
