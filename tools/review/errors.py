"""What a review cannot go on from."""


class ReviewError(Exception):
    """The message says what is missing and what to do."""
