# A usual mistake: the loop's end is stepped over.
last = int(input())
total, i = 0, 1
while i != last:
    total += i
    i += 2
print(total)
