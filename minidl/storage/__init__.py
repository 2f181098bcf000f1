"""Files written completely or not at all: weights, sealed records; reading untrusted files."""
