"""The students' images: their names, and what is in them. Must not know how they are built (engine/store.py does)."""
from dataclasses import dataclass

TOOLS = ("iproute2", "iputils-ping", "curl")


@dataclass(frozen=True)
class Recipe:
    name: str
    tags: tuple[str, ...]
    packages: tuple[str, ...]
    changes: tuple[str, ...]  # Dockerfile instructions
    hooks: tuple[str, ...] = ()  # shell lines, run with the root filesystem as $1
    variant: str = "minbase"
    podman: bool = False


RECIPES = (
    Recipe(
        "tomcat",
        ("latest", "10"),
        ("tomcat10", "openjdk-21-jre-headless", *TOOLS),
        (
            "EXPOSE 8080",
            "ENV CATALINA_HOME=/usr/share/tomcat10",  # podman takes one variable an instruction
            "ENV CATALINA_BASE=/var/lib/tomcat10",
            "ENV CATALINA_TMPDIR=/tmp",
            "WORKDIR /var/lib/tomcat10",
            'CMD ["/usr/share/tomcat10/bin/catalina.sh", "run"]',
        ),
        (  # small and quick: 60 MiB, and about 3 s to its first page
            'rm -rf "$1"/var/lib/tomcat10/webapps/ROOT/META-INF',
            """echo 'JAVA_OPTS="-Xmx64m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto"' > "$1"/usr/share/tomcat10/bin/setenv.sh""",
        ),
        podman=True,
    ),
    Recipe(
        "nginx",
        ("latest", "1.26"),
        ("nginx-light", *TOOLS),
        ("EXPOSE 80", "STOPSIGNAL SIGQUIT", 'CMD ["nginx", "-g", "daemon off;"]'),
        ('ln -sf /dev/stdout "$1"/var/log/nginx/access.log', 'ln -sf /dev/stderr "$1"/var/log/nginx/error.log'),
    ),
    Recipe(
        "nettools",
        ("latest",),
        (*TOOLS, "bind9-dnsutils", "tcpdump", "netcat-openbsd", "traceroute", "ethtool", "procps"),
        ('CMD ["bash"]',),
        podman=True,
    ),
    Recipe(
        "busybox",
        ("latest", "1.37"),
        ("busybox-static",),
        ("ENV PATH=/bin", 'CMD ["sh"]'),
        (
            'cd "$1" && mkdir -p bin root tmp proc sys var/www && mv usr/bin/busybox bin/ && rm -rf usr/share',
            'cd "$1" && for applet in $(bin/busybox --list); do [ "$applet" = busybox ] || ln -s busybox "bin/$applet"; done',
            "printf 'root:x:0:0:root:/root:/bin/sh\\n' > \"$1\"/etc/passwd && printf 'root:x:0:\\n' > \"$1\"/etc/group && chmod 1777 \"$1\"/tmp",
        ),
        variant="extract",
        podman=True,
    ),
)


def image_names() -> set[str]:
    """What a student can type behind `docker run`: nginx, nginx:latest, nginx:1.26."""
    return {name for recipe in RECIPES for name in (recipe.name, *(f"{recipe.name}:{tag}" for tag in recipe.tags))}
