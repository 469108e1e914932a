"""``make demo``: a conversation from end to end on this machine, with a platform that is played and everything else real."""
