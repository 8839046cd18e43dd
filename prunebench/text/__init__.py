"""Text for terminals, spreadsheets, pages and papers: numbers, safe names, tables, bars."""
