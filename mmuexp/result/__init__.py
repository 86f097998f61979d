"""The table of a run and its manifest: what they hold, how two differ, and what may be asked of one."""
