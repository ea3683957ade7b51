# The exercise of sort.py with a usual mistake: numbers compared as text.
input()
print("\n".join(sorted(input().split())))
