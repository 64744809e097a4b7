import { z } from 'zod'
import { PASSWORD_MAX, profile } from './accounts.ts'
import { email, flag, optionalText, secretText } from './fields.ts'

const phone = () => optionalText(20).nullable().optional()
const address = () => optionalText(120).nullable().optional()
const instant = () => z.string().describe('ISO 8601 in UTC, with milliseconds')

/** What people see of their own account (`/users/me/`). */
export const ownAccount = profile
  .extend({
    is_superuser: z.boolean(),
    two_factor: z.boolean().describe('Whether signing in takes a one-time code'),
  })
  .meta({ id: 'OwnAccount' })
export type OwnAccount = z.infer<typeof ownAccount>

/** What people may change of it by writing it down; anything else in the body is ignored. */
export const ownChanges = z.object({ phone: phone(), address: address() })
export type OwnChanges = z.infer<typeof ownChanges>

export const passwordChange = z.object({
  current_password: secretText(PASSWORD_MAX),
  new_password: secretText(PASSWORD_MAX),
})
export type PasswordChange = z.infer<typeof passwordChange>

export const emailChange = z.object({ email: email(), password: secretText(PASSWORD_MAX) })
export type EmailChange = z.infer<typeof emailChange>

export const ownSession = z
  .object({
    id: z.string(),
    created_at: instant(),
    last_used_at: instant().describe('When its tokens were renewed last'),
    expires_at: instant(),
    address: z.string().describe('Network address of the client that signed in'),
    user_agent: z.string().describe('As the client that signed in called itself'),
    is_current: z.boolean().describe('It is the one that asks'),
  })
  .meta({ id: 'OwnSession' })
export type OwnSession = z.infer<typeof ownSession>

/** An account as a superuser gets it (`/admin/api/users/`). */
export const adminUser = z
  .object({
    id: z.int(),
    email: z.string(),
    phone: z.string().nullable(),
    address: z.string().nullable(),
    is_active: z.boolean(),
    is_superuser: z.boolean(),
    two_factor: z.boolean(),
    created_at: instant(),
    confirmed_at: instant().nullable().describe('Null while it waits for a confirmation'),
    last_login_at: instant().nullable(),
  })
  .meta({ id: 'AdminUser' })
export type AdminUser = z.infer<typeof adminUser>

export const newUser = z.object({
  email: email(),
  password: secretText(PASSWORD_MAX)
    .optional()
    .describe('Without one, a link to choose it is sent by mail'),
  phone: phone(),
  address: address(),
  is_superuser: flag().default(false),
})
export type NewUser = z.infer<typeof newUser>

export const userChanges = z.object({
  is_active: flag().optional(),
  is_superuser: flag().optional(),
  phone: phone(),
  address: address(),
})
export type UserChanges = z.infer<typeof userChanges>

export const auditEntry = z
  .object({
    id: z.int(),
    at: instant(),
    event: z.string(),
    user_id: z.int().nullable().describe('Whose account it is about'),
    by_user_id: z.int().nullable().describe('The superuser who did it to somebody else'),
    address: z.string().nullable().describe('Network address of the client'),
    details: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
  })
  .meta({ id: 'AuditEntry' })
export type AuditEntry = z.infer<typeof auditEntry>
