"""The published studies, a folder for each; its STUDY is the declaration."""
