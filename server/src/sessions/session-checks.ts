import type { Viewer } from './viewer.ts'

/** How long a check of a session is believed: the time in which a session that was ended elsewhere may still act. */
const BELIEVED_MS = 2000
const LARGEST = 10_000

interface Check {
  viewer: Viewer
  until: number
}

/** Remembers for a moment who an access token belongs to, so that a burst of requests costs one look at the database. */
export class SessionChecks {
  readonly #checks = new Map<string, Check>()

  find(token: string, now: number): Viewer | null {
    const check = this.#checks.get(token)
    return check && check.until > now ? check.viewer : null
  }

  remember(token: string, viewer: Viewer, tokenExpiresAt: number, now: number): void {
    if (this.#checks.size >= LARGEST) this.#checks.clear()
    this.#checks.set(token, { viewer, until: Math.min(now + BELIEVED_MS, tokenExpiresAt) })
  }

  forgetAll(): void {
    this.#checks.clear()
  }
}
