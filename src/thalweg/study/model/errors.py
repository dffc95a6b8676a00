"""The one error of the comparison."""


class StudyError(ValueError):
    """Something the user can put right: its text is a sentence that says what, where, and what to do instead."""
