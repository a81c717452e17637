"""Finding plugins and calling them. Hooks are called here and nowhere else; each kind has a module that returns typed values.

``finding`` and ``declaration`` load what the configuration names, ``registry`` builds it, ``lanes`` and ``calling`` keep a plugin that
hangs or raises from hurting anybody. Nothing here knows what a plugin does.
"""
