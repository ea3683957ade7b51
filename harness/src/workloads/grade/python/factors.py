# Exercise: for each number on the input write it and its prime factors, as in 12 = 2 * 2 * 3.
import sys


def factors(number):
    found, factor = [], 2
    while factor * factor <= number:
        while number % factor == 0:
            found.append(factor)
            number //= factor
        factor += 1
    if number > 1:
        found.append(number)
    return found


for number in map(int, sys.stdin.read().split()):
    print(number, "=", " * ".join(str(factor) for factor in factors(number)))
