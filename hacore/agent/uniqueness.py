"""Whether another agent runs under this member's name (interface reference 5.1)."""

import http.client
import logging
import socket
import ssl
from typing import Final
from urllib.parse import urlsplit

from hacore.model.cluster import Member
from hacore.model.world import Me

logger = logging.getLogger(__name__)

_PROBE_S: Final = 3.0


def namesake(me: Me, found: Member | None) -> str | None:
    """Return the URL of another agent that answers under this name, with any status; ``None`` where there is none.

    A record with this node's own ``api_url`` is its own, from before a restart of the agent: two agents cannot listen there.
    """
    if found is None or found.api_url is None or found.api_url == me.api_url:
        return None
    return found.api_url if _answers(found.api_url) else None


def _answers(api_url: str) -> bool:
    parts = urlsplit(api_url)
    if parts.hostname is None:
        return False
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # who answers is not the question, whether somebody does is
        connection = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=_PROBE_S, context=context)
    else:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=_PROBE_S)
    try:
        connection.request("GET", "/liveness")
        connection.getresponse()
    except ssl.SSLError:
        return True  # it speaks, and wants a certificate
    except (OSError, http.client.HTTPException, socket.gaierror) as error:
        logger.info("an earlier agent of this name does not answer", extra={"api_url": api_url, "error": str(error)})
        return False
    finally:
        connection.close()
    return True
