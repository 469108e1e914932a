"""What can go wrong for a user, told without a traceback."""


class InstallError(Exception):
    """The engine could not be had. The message says what happened and what to do."""
