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

/** Text that every database takes. Lengths are in code points. */
function anyText() {
  return z
    .string({ error: whyNotString })
    .refine((value) => !value.includes('\0'), { error: MESSAGES.nul, abort: true })
    .refine((value) => value.isWellFormed(), { error: MESSAGES.surrogate, abort: true })
}

const isAtMost = (max: number) => (value: string) => value.length <= max || [...value].length <= max

/** Text of at most `max` code points, white space around it removed; must not be empty. */
export function text(max: number) {
  return optionalText(max).refine((value) => value !== '', { error: MESSAGES.blank })
}

/** Like `text`, but may be empty. */
export function optionalText(max: number) {
  return anyText()
    .transform((value) => value.trim())
    .refine(isAtMost(max), { error: MESSAGES.tooLong(max), abort: true })
}

/** A secret taken as it is: never trimmed, at most `max` code points. */
export function secretText(max: number) {
  return anyText()
    .refine((value) => value !== '', { error: MESSAGES.blank, abort: true })
    .refine(isAtMost(max), { error: MESSAGES.tooLong(max) })
}

/** RFC 5321 §4.5.3.1.3: a path is at most 256 octets with its brackets. */
const EMAIL_MAX = 254
/** The dot-atom form (RFC 5322 §3.2.3) at a domain with a dot: what the original takes, less quoted names. */
const EMAIL = z.email({
  pattern:
    /^[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*@(?:[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?\.)+(?!-)[a-z\d-]{2,63}(?<!-)$/i,
})

/** One address: trimmed, NFKC, lower case; two spellings of one address become the same string. */
export function email() {
  return anyText()
    .transform(normaliseEmail)
    .refine((value) => value !== '', { error: MESSAGES.blank, abort: true })
    .refine(isAtMost(EMAIL_MAX), { error: MESSAGES.tooLong(EMAIL_MAX), abort: true })
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
