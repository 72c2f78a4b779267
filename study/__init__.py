"""What every role shares: spec, words, money and messages."""
