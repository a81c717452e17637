"""All commands by their names on the socket, and the one place where what a command raises becomes an answer."""

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from hacore.control import backups, cluster, config, explain, node, restore, switchover
from hacore.control.context import Command, Context, RefusedError
from hacore.control.wire import Reply
from hacore.errors import DcsUnavailableError

logger = logging.getLogger(__name__)

COMMANDS: Final[Mapping[str, Command]] = {
    "cluster": cluster.show_cluster,
    "history": cluster.show_history,
    "config": config.show_config,
    "config_patch": config.patch_config,
    "config_put": config.put_config,
    "switchover": switchover.switchover,
    "failover": switchover.failover,
    "switchover_cancel": switchover.cancel_switchover,
    "restart": node.restart,
    "restart_cancel": node.cancel_restart,
    "reload": node.reload,
    "reinitialize": node.reinitialize,
    "backups": backups.show_backups,
    "backup_begin": backups.begin_backup,
    "backup_cancel": backups.cancel_backup,
    "restore": restore.restore,
    "restore_show": restore.show_restore,
    "restore_cancel": restore.cancel_restore,
    "explain": explain.explain,
    "status": explain.status,
}
_LOOKS: Final = frozenset({"cluster", "history", "config", "backups", "restore_show", "explain", "status"})


def answerer(context: Context) -> Callable[[Mapping[str, Any]], Reply]:
    """Return what the socket asks: a request in, its answer out."""

    def answer(request: Mapping[str, Any]) -> Reply:
        name, body = request.get("op"), request.get("body")
        command = COMMANDS.get(name) if isinstance(name, str) else None
        if command is None:
            return Reply(status=400, text="no such command")
        if not isinstance(body, dict | None):
            return Reply(status=400, text="body: want a JSON object")
        reply = _carried_out(command, context, body or {})
        if name not in _LOOKS:
            logger.info("command answered", extra={"command": name, "status": reply.status, "text": reply.text})
        return reply

    return answer


def _carried_out(command: Command, context: Context, body: Mapping[str, Any]) -> Reply:
    try:
        return command(context, body)
    except RefusedError as error:
        return error.reply()
    except DcsUnavailableError as error:
        return Reply(status=503, text=f"the store did not answer: {error}")
