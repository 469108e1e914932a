"""One module a subject. ``look`` is what is called; what it decides with is pure."""
