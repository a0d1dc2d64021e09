"""Is a checkpoint finite? Reads the files themselves: no framework, no model, no pickle."""
