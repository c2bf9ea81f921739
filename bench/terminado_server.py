"""The peer's server: terminado, as JupyterLab runs it, with `docker exec -it HOST bash` as the shell. `python -m bench.terminado_server PORT`.

A WebSocket to /HOST is a new shell on that host. Must not know ours.
"""
import sys

import tornado.ioloop
import tornado.web
from terminado import TermSocket, UniqueTermManager


class Hosts(UniqueTermManager):
    def get_terminal(self, url_component=None):
        terminal = self.new_terminal(shell_command=["docker", "exec", "-it", url_component, "bash"])
        self.start_reading(terminal)
        return terminal


if __name__ == "__main__":
    manager = Hosts(shell_command=["false"])
    tornado.web.Application([(r"/([a-z0-9-]+)", TermSocket, {"term_manager": manager})]).listen(int(sys.argv[1]), "127.0.0.1")
    tornado.ioloop.IOLoop.current().start()
