"""Kinds of tasks, one file each. The file is the registration; see ``tasks/task_kind.py``."""
