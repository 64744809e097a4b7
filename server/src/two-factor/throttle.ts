/** Wrong codes in a row that cost nothing: people mistype, and read the code of another account. */
const FREE = 4
const FIRST_WAIT_MS = 30_000
/** Then about a hundred guesses a day of a million codes, three of which are right: 1 in 3000 a day, with the password. */
const LONGEST_WAIT_MS = 15 * 60_000

/** Until when no code is looked at after this many wrong ones in a row; null: at once. */
export function blockAfter(failures: number, now: Date): Date | null {
  if (failures <= FREE) return null
  const waitMs = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (failures - FREE - 1))
  return new Date(now.getTime() + waitMs)
}

/** Whole seconds, 0 when there is nothing to wait for. */
export function waitLeft(blockedUntil: Date | null, now: Date): number {
  if (blockedUntil === null) return 0
  return Math.max(0, Math.ceil((blockedUntil.getTime() - now.getTime()) / 1000))
}
