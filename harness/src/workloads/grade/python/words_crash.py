# The exercise of words.py with a usual mistake: no entry is ever made.
import sys

counts = {}
for word in sys.stdin.read().split():
    counts[word] += 1
print(counts)
