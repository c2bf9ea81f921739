from django.apps import AppConfig


class LabsiteConfig(AppConfig):
    name = "labsite"

    def ready(self) -> None:
        from labsite import checks  # noqa: F401 registers them
