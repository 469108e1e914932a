"""What can go wrong for a user, told without a traceback."""


class ImageError(Exception):
    """An image could not be had. The message says what happened and what to do."""
