"""`python -m forebay.cli`: the command, where no script of it is installed."""

from forebay.cli.main import main

main()
