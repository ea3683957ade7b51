# The exercise of words.py, handed in before it was run once.
import sys

for word, count in sorted(Counter(sys.stdin.read().split()).items())
    print(word, count)
