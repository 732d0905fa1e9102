"""Files and the terminal: what is read, written, locked and printed."""
