import { z } from 'zod'
import type { Keys } from '../config/keys.ts'
import { openSealedText, sealText } from '../config/sealed-text.ts'
import { newSecret } from '../ports/ids.ts'

/** What the browser carries for us while somebody signs in: sealed, so that it can neither be read nor made up. */

/** One sign-in on its way to the provider and back. */
export interface Flow {
  /** Comes back in the URL: the answer is to this browser's question (RFC 6749 §10.12). */
  state: string
  /** Comes back in the ID token: the answer is to this question alone. */
  nonce: string
  /** Only who began can use the code (PKCE, RFC 7636): 43 characters. */
  verifier: string
  isRemembered: boolean
}

/** Somebody whom the provider has named, and who owes a one-time code. */
export interface Arrival {
  userId: number
  isRemembered: boolean
}

const flow = z.object({
  state: z.string(),
  nonce: z.string(),
  verifier: z.string(),
  isRemembered: z.boolean(),
})
const arrival = z.object({ userId: z.int(), isRemembered: z.boolean() })

export const FLOW_TTL_MS = 10 * 60_000
export const ARRIVAL_TTL_MS = 5 * 60_000

export function newFlow(isRemembered: boolean): Flow {
  return { state: newSecret(), nonce: newSecret(), verifier: newSecret(), isRemembered }
}

export function sealFlow(keys: Keys, value: Flow, now: Date): string {
  return seal(keys, 'flow', value, now.getTime() + FLOW_TTL_MS)
}

/** Null when we did not seal it, or too long ago. */
export function openFlow(keys: Keys, sealed: string, now: Date): Flow | null {
  return open(keys, 'flow', flow, sealed, now)
}

export function sealArrival(keys: Keys, value: Arrival, now: Date): string {
  return seal(keys, 'arrival', value, now.getTime() + ARRIVAL_TTL_MS)
}

/** Null when we did not seal it, or too long ago. */
export function openArrival(keys: Keys, sealed: string, now: Date): Arrival | null {
  return open(keys, 'arrival', arrival, sealed, now)
}

function seal(keys: Keys, kind: string, value: object, expiresAt: number): string {
  return sealText(keys, 'openid', kind, JSON.stringify({ value, expiresAt }))
}

function open<T>(
  keys: Keys,
  kind: string,
  schema: z.ZodType<T>,
  sealed: string,
  now: Date,
): T | null {
  const opened = openSealedText(keys, 'openid', kind, sealed)
  if (!opened) return null
  const { value, expiresAt } = z
    .object({ value: schema, expiresAt: z.number() })
    .parse(JSON.parse(opened.text))
  return expiresAt > now.getTime() ? value : null
}
