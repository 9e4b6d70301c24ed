"""The conformance kit."""


class ScheduleSuite:
    """Tests a schedule."""
