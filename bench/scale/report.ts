import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** How the parts of this bench tell what they found: tables, verdicts, and files for the part that reads them all. */

const FOLDER = fileURLToPath(new URL('../../.cache/bench/scale/', import.meta.url))

export function title(text: string): void {
  console.log(`\n${text} (${cpus().length} cores)`)
}

/** The process ends with 1 if one of its verdicts fails. */
export function verdict(
  what: string,
  told: number,
  limit: { atMost: number } | { atLeast: number },
): void {
  const holds = 'atMost' in limit ? told <= limit.atMost : told >= limit.atLeast
  const asked = 'atMost' in limit ? `at most ${limit.atMost}` : `at least ${limit.atLeast}`
  console.log(`${holds ? 'holds' : 'FAILS'}  ${what}: ${rounded(told)} (${asked})`)
  if (!holds) process.exitCode = 1
}

export function keep(part: string, facts: unknown): void {
  mkdirSync(FOLDER, { recursive: true })
  writeFileSync(join(FOLDER, `${part}.json`), JSON.stringify(facts, null, 2))
}

/** What a part has kept, of this run or an earlier one. Throws where it has never run. */
export function kept(part: string): unknown {
  try {
    return JSON.parse(readFileSync(join(FOLDER, `${part}.json`), 'utf8'))
  } catch (cause) {
    throw new Error(`nothing is measured yet: run node bench/scale/${part}.ts first`, { cause })
  }
}

/** Three significant digits are more than a noisy machine can tell. */
export function rounded(value: number): number {
  return Number(value.toPrecision(3))
}

export function median(values: number[]): number {
  return quantile(values, 0.5)
}

export function quantile(values: number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}
