"""One module a command of `kanhe`."""
