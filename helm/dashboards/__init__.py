"""Grafana dashboards as code: one module each; `make generate` writes the JSON that the chart ships."""
