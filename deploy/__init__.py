"""What is needed to run Kanhe beside its programs; only the dashboards are code."""
