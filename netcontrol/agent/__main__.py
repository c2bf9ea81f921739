"""Start of the agent: `python3 -IS agent/__main__.py` under systemd socket activation, or with `--socket PATH`. With `--look` it prints
what the observer sees, once."""
import os
import sys

folder = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [entry for entry in sys.path if entry != folder] + [os.path.dirname(folder)]

if __name__ == "__main__":
    if sys.argv[1:] == ["--look"]:
        from agent.observe.look import Eyes  # the folder is a package wherever it is put

        print(Eyes().look())
    else:
        from agent.server import main

        main(sys.argv[1:])
