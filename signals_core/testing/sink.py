"""The conformance kit."""


class SinkSuite:
    """Tests a sink."""
