"""What an archive's files hold: kinds of source, their frames, times and positions."""
