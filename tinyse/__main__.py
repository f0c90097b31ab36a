"""`python -m tinyse` is the command `tinyse`."""

from tinyse.commands.main import main

if __name__ == "__main__":
    main()
