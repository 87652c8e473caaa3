"""Pixels in, facts out: no network, no Ray, no database, no clock, no environment variables."""
