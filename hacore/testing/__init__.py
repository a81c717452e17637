"""For plugin authors and ourselves: conformance kits, the simulator, the history checker, whole clusters of real servers.

It may import all of hacore. Nothing but the demonstration and the tests imports it.
"""
