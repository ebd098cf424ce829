"""Adapters to the services that make images: pure, async, no Django, one injected HTTP client each."""
