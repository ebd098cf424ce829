"""The worker's two processes: pay (admission, calls, closing) and chores (everything else)."""
