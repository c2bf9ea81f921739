from netcontrol.tests.agent_fixtures import private_redis

__all__ = ["private_redis"]
