//! Sites that somebody says should, or should not, be blocked: the queue.
