"""Tables as text, Markdown, LaTeX, MathML and CSV."""
