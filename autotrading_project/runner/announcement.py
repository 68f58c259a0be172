"""What `make run` prints when everything answers: where to look and who may log in."""

from autotrading_project.embedded.processes import read_json
from autotrading_project.runner.configuration import Configuration


def announcement(configuration: Configuration) -> list[str]:
    """The lines; the demo's logins come from DATA_DIR/demo.json."""
    base = configuration.base_url
    lines = [
        "",
        f"  autotrading is running at {base}",
        "",
        f"  Console     {base}/",
        f"  Admin       {base}/admin/",
        f"  API docs    {base}/api/docs",
        f"  WebSocket   {base.replace('http', 'ws', 1)}/ws/events",
    ]
    demo = read_json(configuration.data_dir / "demo.json") if configuration.demo else {}
    if demo.get("portfolio_id"):
        lines += ["", f"  Demo        portfolio {demo['portfolio_id']}"]
        if demo.get("session_id"):
            lines.append(f"              session   {demo['session_id']}")
        lines += ["", "  Logins      name, password, role"]
        users = sorted(demo.get("users", {}).items())
        width = max((len(name) for name, _ in users), default=0)
        for name, user in users:
            password = user.get("password") or "(changed)"  # then only its owner knows it
            lines.append(f"              {name:<{width}}  {password:<16}  {user.get('role', '')}")
        lines.append(f"  Tokens and ids are in {configuration.data_dir / 'demo.json'}")
    lines += ["", "  Ctrl-C stops everything; the data is kept.", ""]
    return lines
