"""What others found, beside one's own: importing their results, comparing experiments. No torch."""
