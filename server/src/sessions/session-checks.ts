import type { Viewer } from './viewer.ts'

/**
 * How long a check of a session is believed: the time in which a session that was ended elsewhere may still act. 2 s are
 * promised, and answers that were being made then are on their way for a while.
 */
const BELIEVED_MS = 1500
const LARGEST = 10_000

interface Check {
  viewer: Viewer
  until: number
}

/** Remembers for a moment who an access token belongs to, so that a burst of requests costs one look at the database. */
export class SessionChecks {
  readonly #checks = new Map<string, Check>()
  #forgotten = 0

  /** Changes whenever all is forgotten. Read it before the database is. */
  get age(): number {
    return this.#forgotten
  }

  find(token: string, now: number): Viewer | null {
    const check = this.#checks.get(token)
    return check && check.until > now ? check.viewer : null
  }

  /** What was read before something ended is not to be believed after it: `age` is that of the reading. */
  remember(
    token: string,
    viewer: Viewer,
    { age, tokenExpiresAt, now }: { age: number; tokenExpiresAt: number; now: number },
  ): void {
    if (age !== this.#forgotten) return
    if (this.#checks.size >= LARGEST) this.#checks.clear()
    this.#checks.set(token, { viewer, until: Math.min(now + BELIEVED_MS, tokenExpiresAt) })
  }

  forgetAll(): void {
    this.#checks.clear()
    this.#forgotten += 1
  }
}
