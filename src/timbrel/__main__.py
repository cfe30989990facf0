"""`python -m timbrel` runs the command line; so does `torchrun -m timbrel`."""

from timbrel.commands.main import main

main()
