"""`python -m medseg`: the same as the command `medseg`."""

from medseg.cli.app import main

if __name__ == "__main__":
    main()
