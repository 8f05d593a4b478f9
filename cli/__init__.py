"""The command line: one file a command. `main.py` is the frame, `shared.py` what the commands share."""
