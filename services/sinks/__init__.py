"""Sinks: one file each, named by the scheme of the URL they serve.

A module offers `open_sink(url) -> Sink`; see `services.sinks.file`.
"""
