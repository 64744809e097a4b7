/** What the tests of timing need, and no more. */

export function median(values: number[]): number {
  const sorted = values.toSorted((one, other) => one - other)
  const middle = sorted.length / 2
  return ((sorted[Math.floor(middle - 0.5)] ?? 0) + (sorted[Math.floor(middle)] ?? 0)) / 2
}

/**
 * Mann and Whitney's U as a probability: how often a value of the one is above a value of the other, ties half. 0.5
 * tells nothing apart; 0 and 1 tell it from a single look.
 */
export function superiority(one: number[], other: number[]): number {
  let above = 0
  for (const mine of one) {
    for (const theirs of other) above += mine > theirs ? 1 : mine === theirs ? 0.5 : 0
  }
  return above / (one.length * other.length)
}
