"""The small pictures show the numbers that they are given, and follow the theme of the page."""


