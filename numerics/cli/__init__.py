"""The command line `wbound`: options and output here, the commands in a room of their own."""
