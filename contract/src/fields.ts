import { z } from 'zod'

/**
 * Field types with the messages that clients of the original know (Django REST framework's), so that a form
 * written against it shows the same sentence under the same field.
 */
export const MESSAGES = {
  required: 'This field is required.',
  blank: 'This field may not be blank.',
  null: 'This field may not be null.',
  email: 'Enter a valid email address.',
  string: 'Not a valid string.',
  boolean: 'Must be a valid boolean.',
  nul: 'Null characters are not allowed.',
  surrogate: 'Not a valid string.',
  tooLong: (max: number) => `Ensure this field has no more than ${max} characters.`,
  tooShort: (min: number) => `Ensure this field has at least ${min} characters.`,
  choice: (value: string) => `"${value}" is not a valid choice.`,
} as const

function whyNotString(issue: { input?: unknown }): string {
  if (issue.input === undefined) return MESSAGES.required
  if (issue.input === null) return MESSAGES.null
  return MESSAGES.string
}

function textOf(max: number) {
  return z
    .string({ error: whyNotString })
    .refine((text) => !text.includes('\0'), { error: MESSAGES.nul, abort: true })
    .refine((text) => text.isWellFormed(), { error: MESSAGES.surrogate, abort: true })
    .refine((text) => [...text].length <= max, { error: MESSAGES.tooLong(max), abort: true })
}

/** Text of at most `max` code points, white space around it removed; must not be empty. */
export function text(max: number) {
  return textOf(max)
    .transform((value) => value.trim())
    .refine((value) => value !== '', { error: MESSAGES.blank })
}

/** Like `text`, but may be empty. */
export function optionalText(max: number) {
  return textOf(max).transform((value) => value.trim())
}

/** A secret taken as it is: never trimmed, at most `max` code points. */
export function secretText(max: number) {
  return textOf(max).refine((value) => value !== '', { error: MESSAGES.blank })
}

/** RFC 5321 §4.5.3.1.3: a path is at most 256 octets with its brackets. */
const EMAIL_MAX = 254
const EMAIL = z.email()

/** One address: trimmed, NFKC, lower case; two spellings of one address become the same string. */
export function email() {
  return textOf(1024)
    .transform(normaliseEmail)
    .refine((value) => value !== '', { error: MESSAGES.blank, abort: true })
    .refine((value) => [...value].length <= EMAIL_MAX, {
      error: MESSAGES.tooLong(EMAIL_MAX),
      abort: true,
    })
    .refine((value) => EMAIL.safeParse(value).success, { error: MESSAGES.email })
}

/** The one spelling of an address that is stored and compared. */
export function normaliseEmail(address: string): string {
  return address.normalize('NFKC').trim().toLowerCase()
}

export function flag() {
  return z.boolean({
    error: (issue) => (issue.input === null ? MESSAGES.null : MESSAGES.boolean),
  })
}
