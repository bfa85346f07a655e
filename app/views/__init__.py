"""The pages, one module each; each draws itself with `page()`."""
