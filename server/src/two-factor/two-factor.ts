import type { OtpRefusal } from '@videoflix/contract'
import { demandPassword } from '../accounts/password-proof.ts'
import type { Passwords } from '../accounts/passwords.ts'
import type { Audit } from '../audit/audit.ts'
import type { Keys } from '../config/keys.ts'
import { openSealedText, sealText } from '../config/sealed-text.ts'
import { transact, type Database, type Transacting } from '../db/database.ts'
import type { TotpRow, User } from '../db/tables.ts'
import { AppError, invalid, throttled } from '../errors.ts'
import type { Clock } from '../ports/clock.ts'
import type { LoginThrottle } from '../sessions/login-throttle.ts'
import type { Client } from '../sessions/sessions.ts'
import { hashOfRecoveryCode, newRecoveryCodes } from './recovery-codes.ts'
import { blockAfter, waitLeft } from './throttle.ts'
import { isTotpCode, newTotpSecret, otpauthUrl, qrCode, stepOfCode } from './totp.ts'
import * as rows from './totp-rows.ts'

/** What is asked of somebody whose password was right, before a session is started. */
export interface SecondFactor {
  /** Null: come in. Throws `throttled` after too many wrong codes. */
  refusal(user: User, otp: string | null, client: Client): Promise<OtpRefusal | null>
  isEnabledFor(userId: number): Promise<boolean>
}

/** One-time codes as people turn them on and off for themselves. Wrong input throws `invalid` with fields. */
export interface TwoFactor extends SecondFactor {
  status(userId: number): Promise<{ isEnabled: boolean; recoveryCodesLeft: number }>
  /** Makes a secret that counts from its confirmation on; again makes another. Throws `conflict` when it is on. */
  enrol(
    userId: number,
    password: string,
    address: string,
  ): Promise<{ secret: string; url: string; qrSvg: string }>
  /** Turns it on and gives the recovery codes: only their hashes are kept. */
  confirm(userId: number, code: string, address: string): Promise<string[]>
  disable(userId: number, proof: Proof, address: string): Promise<void>
  /** The earlier codes are void. */
  renewRecoveryCodes(userId: number, proof: Proof, address: string): Promise<string[]>
  /** A superuser turns it off for somebody else, who has lost phone and recovery codes. Throws `not_found`. */
  disableFor(userId: number, by: { userId: number; address: string }): Promise<void>
}

interface Proof {
  password: string
  code: string
}

/** What became of a code, once it was looked at under the row's lock. */
type Use =
  | { outcome: 'accepted'; by: 'totp' | 'recovery_code' }
  | { outcome: 'wrong' }
  | { outcome: 'wait'; seconds: number }
  | { outcome: 'off' }

const OTP_REQUIRED = { detail: 'A one-time code is required.', code: 'otp_required' } as const
const OTP_INVALID = { detail: 'The one-time code is not valid.', code: 'otp_invalid' } as const

export function createTwoFactor(needs: {
  db: Database
  clock: Clock
  keys: Keys
  audit: Audit
  passwords: Passwords
  throttle: LoginThrottle
}): TwoFactor {
  const { db, clock, keys, audit, passwords, throttle } = needs

  const seal = (userId: number, secret: string): string =>
    sealText(keys, 'totp', contextOf(userId), secret)

  /** The secret, and how it is to be kept from now on; null under a key that we no longer have. */
  function open({ user_id, sealed_secret }: TotpRow): { secret: string; sealed: string } | null {
    const opened = openSealedText(keys, 'totp', contextOf(user_id), sealed_secret)
    if (!opened) return null
    const sealed = opened.isOutdated ? seal(user_id, opened.text) : sealed_secret
    return { secret: opened.text, sealed }
  }

  async function useTotpCode(
    trx: Transacting,
    totp: TotpRow,
    code: string,
    now: Date,
  ): Promise<boolean> {
    const opened = open(totp)
    const step = opened && stepOfCode(opened.secret, code, now)
    if (!opened || step === null) return false
    return await rows.useStep(trx, totp.user_id, step, opened.sealed)
  }

  async function useRecoveryCode(
    trx: Transacting,
    totp: TotpRow,
    typed: string,
    now: Date,
  ): Promise<boolean> {
    const hash = hashOfRecoveryCode(typed)
    if (hash === null || !(await rows.useRecoveryCode(trx, totp.user_id, hash, now))) return false
    await rows.forgetFailures(trx, totp.user_id)
    return true
  }

  /** Under the row's lock, so that guesses made at once are counted one by one. */
  async function use(trx: Transacting, userId: number, typed: string, now: Date): Promise<Use> {
    const totp = await rows.lockTotp(trx, userId)
    if (!totp?.confirmed_at) return { outcome: 'off' }
    const code = typed.replaceAll(/\s/g, '')
    const seconds = waitLeft(totp.blocked_until, now)
    // Recovery codes are too long to guess. They pass at any time, so that nobody can keep their owner out.
    if (!isTotpCode(code)) {
      const isRight = await useRecoveryCode(trx, totp, typed, now)
      if (isRight) return { outcome: 'accepted', by: 'recovery_code' }
    }
    if (seconds > 0) return { outcome: 'wait', seconds }
    if (await useTotpCode(trx, totp, code, now)) return { outcome: 'accepted', by: 'totp' }
    await rows.countFailure(trx, userId, blockAfter(totp.failures + 1, now))
    return { outcome: 'wrong' }
  }

  async function recordUse(used: Use, userId: number, address: string): Promise<void> {
    if (used.outcome === 'wrong') await audit.record('totp_failed', { userId, address })
    if (used.outcome === 'accepted' && used.by === 'recovery_code') {
      const left = await rows.countRecoveryCodes(db, userId)
      await audit.record('recovery_code_used', { userId, address, details: { left } })
    }
  }

  /** Throws unless the password is the user's. */
  const demand = (userId: number, password: string, address: string): Promise<User> =>
    demandPassword({ db, passwords, throttle }, { userId, password, address }, 'password')

  /** Throws unless the proof holds; then makes the change in the transaction that uses the code up. */
  async function changeWith(
    userId: number,
    proof: Proof,
    address: string,
    change: (trx: Transacting, now: Date) => Promise<unknown>,
  ): Promise<void> {
    await demand(userId, proof.password, address)
    const now = clock.now()
    const used = await transact(db, async (trx) => {
      const verdict = await use(trx, userId, proof.code, now)
      if (verdict.outcome === 'accepted') await change(trx, now)
      return verdict
    })
    await recordUse(used, userId, address)
    if (used.outcome === 'off') throw isOff()
    if (used.outcome === 'wait') throw throttled(used.seconds)
    if (used.outcome === 'wrong') throw invalid({ code: [OTP_INVALID.detail] })
  }

  return {
    isEnabledFor: async (userId) => isConfirmed(await rows.findTotp(db, userId)),

    async refusal(user, otp, { address }) {
      if (!isConfirmed(await rows.findTotp(db, user.id))) return null
      if (otp === null) return OTP_REQUIRED
      const now = clock.now()
      const used = await transact(db, (trx) => use(trx, user.id, otp, now))
      await recordUse(used, user.id, address)
      if (used.outcome === 'wait') throw throttled(used.seconds)
      return used.outcome === 'wrong' ? OTP_INVALID : null
    },

    async status(userId) {
      const isEnabled = isConfirmed(await rows.findTotp(db, userId))
      return { isEnabled, recoveryCodesLeft: await rows.countRecoveryCodes(db, userId) }
    },

    async enrol(userId, password, address) {
      const user = await demand(userId, password, address)
      const secret = newTotpSecret()
      const isOffered = await rows.offerTotp(db, userId, seal(userId, secret), clock.now())
      if (!isOffered) throw isOn()
      const url = otpauthUrl(secret, user.email)
      return { secret, url, qrSvg: qrCode(url) }
    },

    async confirm(userId, code, address) {
      const now = clock.now()
      const codes = newRecoveryCodes()
      await transact(db, async (trx) => {
        const totp = await rows.lockTotp(trx, userId)
        if (!totp) throw isOff()
        if (totp.confirmed_at) throw isOn()
        const secret = open(totp)?.secret ?? newTotpSecret()
        const step = stepOfCode(secret, code.replaceAll(/\s/g, ''), now)
        if (step === null) throw invalid({ code: [OTP_INVALID.detail] })
        await rows.confirmTotp(trx, userId, step, now)
        await rows.replaceRecoveryCodes(trx, userId, codes.map(hashOf), now)
      })
      await audit.record('totp_enabled', { userId, address })
      return codes
    },

    async disable(userId, proof, address) {
      await changeWith(userId, proof, address, (trx) => rows.deleteTotp(trx, userId))
      await audit.record('totp_disabled', { userId, address })
    },

    async renewRecoveryCodes(userId, proof, address) {
      const codes = newRecoveryCodes()
      await changeWith(userId, proof, address, (trx, now) =>
        rows.replaceRecoveryCodes(trx, userId, codes.map(hashOf), now),
      )
      await audit.record('recovery_codes_renewed', { userId, address })
      return codes
    },

    async disableFor(userId, by) {
      // Their own takes a proof: a stolen session must not be enough.
      if (userId === by.userId) {
        throw new AppError('conflict', 'Turn off your own with DELETE /users/me/totp/.')
      }
      const wasThere = await transact(db, (trx) => rows.deleteTotp(trx, userId))
      if (!wasThere) throw new AppError('not_found', 'Not found.')
      await audit.record('totp_disabled', {
        userId,
        byUserId: by.userId,
        address: by.address,
      })
    },
  }
}

function isConfirmed(totp: TotpRow | null): boolean {
  return totp !== null && totp.confirmed_at !== null
}

/** A sealed secret opens for its owner alone. */
function contextOf(userId: number): string {
  return `totp:${userId}`
}

function hashOf(code: string): string {
  return hashOfRecoveryCode(code) ?? ''
}

function isOn(): AppError {
  return new AppError('conflict', 'One-time codes are on already: turn them off first.')
}

function isOff(): AppError {
  return new AppError('conflict', 'One-time codes are off: begin with POST /users/me/totp/.')
}
