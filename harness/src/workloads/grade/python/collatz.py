# Which start below a number has the longest way down to 1, where n becomes n / 2 or 3 n + 1.
below = int(input())
best, most = 1, 0
for start in range(1, below):
    n, steps = start, 0
    while n != 1:
        n = 3 * n + 1 if n % 2 else n // 2
        steps += 1
    if steps > most:
        best, most = start, steps
print(best, most)
