"""Start of the agent: `python3 -IS agent/__main__.py` under systemd socket activation, or with `--socket PATH`."""
import os
import sys

folder = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [entry for entry in sys.path if entry != folder] + [os.path.dirname(folder)]

from agent.server import main  # noqa: E402  the folder is a package wherever it is put

if __name__ == "__main__":
    main(sys.argv[1:])
