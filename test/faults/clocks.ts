import { expect } from 'vitest'
import type { Site } from './site.ts'

const DAY_MS = 86_400_000

/** Settings of a process of ours whose clock is ahead. */
function clockAhead(byMs: number): Record<string, string> {
  const preloaded = new URL('clock-ahead.ts', import.meta.url).href
  return { NODE_OPTIONS: `--import ${preloaded}`, CLOCK_AHEAD_MS: `${byMs}` }
}

export const DAYS_LATER = clockAhead(3 * DAY_MS)

/** The clocks of a site, which its `envOf` asks for. */
export class SiteClocks {
  #aheadMs = 0

  readonly envOf = (): Record<string, string> => clockAhead(this.#aheadMs)

  /**
   * What is due within that time is due now: all members end in order, and begin again with their clocks ahead. Not by
   * more than a quarter of an hour in all, as S3 does not talk to anybody whose clock is that wrong.
   */
  async advance(site: Site, byMs: number): Promise<void> {
    this.#aheadMs += byMs
    await restart(site)
  }

  /** All is as if it had never been later. */
  async reset(site: Site): Promise<void> {
    this.#aheadMs = 0
    await restart(site)
  }
}

async function restart(site: Site): Promise<void> {
  const members = [...site.servers, ...site.workers]
  const ends = await Promise.all(members.map(async (member) => [member.name, await member.end()]))
  expect(ends).toEqual(members.map(({ name }) => [name, { code: 0, signal: null }]))
  await Promise.all(members.map((member) => member.start()))
}
