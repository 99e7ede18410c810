"""Offline: events in, bundle out."""
