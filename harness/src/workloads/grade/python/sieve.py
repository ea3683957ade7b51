# How many primes there are up to a number, by the sieve of Eratosthenes.
last = int(input())
composite = bytearray(last + 1)
primes = 0
for number in range(2, last + 1):
    if composite[number]:
        continue
    primes += 1
    if number * number <= last:
        composite[number * number :: number] = b"\1" * len(range(number * number, last + 1, number))
print(primes)
