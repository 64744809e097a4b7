import { z } from 'zod'
import { email, flag, optionalText, secretText } from './fields.ts'

/** In code points. Long passphrases are welcome; the limit only bounds the work of hashing. */
export const PASSWORD_MAX = 1024

export const registration = z.object({
  email: email(),
  password: secretText(PASSWORD_MAX),
  confirm_password: secretText(PASSWORD_MAX),
  phone: optionalText(20).nullable().optional(),
  address: optionalText(120).nullable().optional(),
})
export type Registration = z.infer<typeof registration>

export const credentials = z.object({
  email: email(),
  password: secretText(PASSWORD_MAX),
  remember: flag().optional(),
  otp: optionalText(64).nullable().optional(),
})
export type Credentials = z.infer<typeof credentials>

export const profile = z
  .object({
    id: z.int(),
    username: z.string().describe('The email address'),
    email: z.string(),
    phone: z.string().nullable(),
    address: z.string().nullable(),
    favorite_videos: z.array(z.int()),
  })
  .meta({ id: 'Profile' })
export type Profile = z.infer<typeof profile>

export const newSuperuser = z.object({ email: email(), password: secretText(PASSWORD_MAX) })
