"""A server that says its name to everybody who connects, at every address that the host has or gets: ``answer.py NAME PORT``."""

import socket
import sys

name, port = sys.argv[1], int(sys.argv[2])
with socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True) as server:
    print("listens", flush=True)
    while True:
        connection, _ = server.accept()
        with connection:
            connection.sendall(name.encode())
