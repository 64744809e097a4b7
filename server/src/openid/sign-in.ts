import type { OtpRefusal } from '@videoflix/contract'
import { findUser, markLogin } from '../accounts/users.ts'
import type { Audit } from '../audit/audit.ts'
import type { Keys } from '../config/keys.ts'
import type { Database } from '../db/database.ts'
import type { User } from '../db/tables.ts'
import { AppError } from '../errors.ts'
import type { Clock } from '../ports/clock.ts'
import type { Client, Sessions, SessionTokens } from '../sessions/sessions.ts'
import type { SecondFactor } from '../two-factor/two-factor.ts'
import type { OpenIdAccounts } from './accounts.ts'
import type { OpenIdProvider } from './provider.ts'
import { SignInRefused } from './refusals.ts'
import {
  newFlow,
  openArrival,
  openFlow,
  sealArrival,
  sealFlow,
  type Arrival,
} from './sealed-cookies.ts'

/** Signing in with the provider, step by step. What is sealed travels as a cookie. Throws `SignInRefused`. */
export interface OpenIdSignIn {
  /** Where the browser has to go, and what it has to bring back. */
  begin(isRemembered: boolean): Promise<{ url: string; sealedFlow: string }>
  /** What the browser brought back: a session, or a one-time code is owed (`sealedArrival`). Works once. */
  finish(
    answer: { sealedFlow: string | null; query: string },
    client: Client,
  ): Promise<{ tokens: SessionTokens } | { sealedArrival: string }>
  /** Pays the code. Throws `unauthenticated` when it is too late, `throttled` after too many wrong ones. */
  finishWithCode(
    answer: { sealedArrival: string | null; otp: string },
    client: Client,
  ): Promise<{ tokens: SessionTokens } | { refusal: OtpRefusal }>
}

export function createOpenIdSignIn(needs: {
  db: Database
  clock: Clock
  keys: Keys
  audit: Audit
  sessions: Sessions
  secondFactor: SecondFactor
  provider: OpenIdProvider
  accounts: OpenIdAccounts
  trustsTwoFactor: boolean
}): OpenIdSignIn {
  const { db, clock, keys, audit, sessions, secondFactor, provider, accounts } = needs

  async function startSession(
    user: User,
    isRemembered: boolean,
    client: Client,
  ): Promise<{ tokens: SessionTokens }> {
    const tokens = await sessions.start(user, { isRemembered, client })
    await markLogin(db, user.id, clock.now())
    const details = { via: 'openid' }
    await audit.record('login', { userId: user.id, address: client.address, details })
    return { tokens }
  }

  return {
    async begin(isRemembered) {
      const flow = newFlow(isRemembered)
      const url = await provider.authorizationUrl(flow)
      return { url: url.href, sealedFlow: sealFlow(keys, flow, clock.now()) }
    },

    async finish({ sealedFlow, query }, client) {
      const flow = sealedFlow === null ? null : openFlow(keys, sealedFlow, clock.now())
      if (!flow) throw new SignInRefused('expired')
      const states = new URLSearchParams(query).getAll('state')
      if (states.length !== 1 || states[0] !== flow.state) throw new SignInRefused('mismatch')
      const { isRemembered } = flow
      const claims = await provider.redeem(query, flow)
      const user = await accounts.userOf(claims, client.address)
      if (!user.is_active) throw new SignInRefused('inactive')
      const owesCode = !needs.trustsTwoFactor && (await secondFactor.isEnabledFor(user.id))
      if (!owesCode) return await startSession(user, isRemembered, client)
      const arrival: Arrival = { userId: user.id, isRemembered }
      return { sealedArrival: sealArrival(keys, arrival, clock.now()) }
    },

    async finishWithCode({ sealedArrival, otp }, client) {
      const arrival = sealedArrival === null ? null : openArrival(keys, sealedArrival, clock.now())
      const user = arrival && (await findUser(db, arrival.userId))
      if (!arrival || !user?.is_active) {
        throw new AppError('unauthenticated', 'This sign-in took too long: begin again.')
      }
      const refusal = await secondFactor.refusal(user, otp, client)
      return refusal ? { refusal } : await startSession(user, arrival.isRemembered, client)
    },
  }
}
