"""Finds and explains what is wrong with a running assistant.

``python -m app.doctor`` looks at one process from its own place, ``make doctor`` at all of a stack. Each module of
:mod:`app.doctor.checks` has thin functions that look and pure ones that decide what that means. A check is imported when it
runs: the images differ, and one whose library is not there is left out.
"""
