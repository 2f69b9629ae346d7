"""Where inputs come from: mirrors, package indexes, and the downloads into the store."""
