"""Every statement of docs/theory.md as an object, and a bound explained term by term."""
