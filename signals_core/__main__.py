"""`python -m signals_core` is `signals`."""

from signals_core.cli import main

if __name__ == "__main__":
    main()
