"""HTTP for plugins whose calls must end in time: every byte under a deadline, servers asked in turn or at once, names looked up on threads.

The protocol is the standard library's ``http.client``. It knows no product, and not what a status means.
"""
