"""Pages on this machine where people work: review samples, choose the better of two answers."""
