"""The conformance kit."""


class SourceSuite:
    """Tests a source."""
