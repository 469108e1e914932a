"""Slack: events by webhook or Socket Mode, answers by the Web API."""
