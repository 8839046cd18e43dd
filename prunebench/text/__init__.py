"""Text for terminals, spreadsheets, pages and papers: names made safe, tables, progress bars."""
