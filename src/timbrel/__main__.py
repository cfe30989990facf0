"""`python -m timbrel`, and so `torchrun -m timbrel`, is the command line."""

from timbrel.commands.main import main

main()
