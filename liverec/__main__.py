"""`python -m liverec` is the command `liverec`."""

from liverec.command_line import main

main()
