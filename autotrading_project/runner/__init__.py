"""`make run`: the embedded servers, the database, and every process of the Procfile.

__main__       the order of things: lock, servers, prepare, processes, stop
configuration  what the environment says, checked
prepare        migrate, roles, seed data, demo: one process
procfile       the one list of processes
supervisor     starts, watches, restarts and stops them
leftovers      what a killed run left behind
console        prefixed output and log files
"""
