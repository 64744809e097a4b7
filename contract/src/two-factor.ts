import { z } from 'zod'
import { PASSWORD_MAX } from './accounts.ts'
import { secretText, text } from './fields.ts'

/** A one-time code of an authenticator app, or a recovery code; spaces and hyphens are for people. */
const code = () => text(64)

export const passwordProof = z.object({ password: secretText(PASSWORD_MAX) })
export const codeProof = z.object({ code: code() })
/** What a change of the second factor takes: a stolen session has neither. */
export const fullProof = z.object({ password: secretText(PASSWORD_MAX), code: code() })

export const twoFactorStatus = z
  .object({ enabled: z.boolean(), recovery_codes_left: z.int() })
  .meta({ id: 'TwoFactorStatus' })

export const totpEnrolment = z
  .object({
    secret: z.string().describe('In base 32, to type into an authenticator app'),
    otpauth_url: z.string().describe('The same and more, to open or scan with it'),
    qr_svg: z.string().describe('`otpauth_url` as a QR code: an SVG image'),
  })
  .meta({ id: 'TotpEnrolment' })

export const recoveryCodes = z
  .object({
    recovery_codes: z.array(z.string()).describe('Each stands in for one code; shown only now'),
  })
  .meta({ id: 'RecoveryCodes' })

/** Why a right password was not enough. */
export const otpRefusal = z
  .object({ detail: z.string(), code: z.enum(['otp_required', 'otp_invalid']) })
  .meta({ id: 'OtpRefusal' })
export type OtpRefusal = z.infer<typeof otpRefusal>
