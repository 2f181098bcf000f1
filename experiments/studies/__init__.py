"""The published studies: a folder each with what is declared of it; STUDY is its declaration."""
