/** Why somebody is not signed in. What they are told is below; a status is given once, here. */
export type RefusalReason =
  | 'unavailable' // the provider does not answer, or not as one
  | 'misconfigured' // the provider does not know us, or not with this secret
  | 'busy' // too many want the same
  | 'denied' // the person, or the provider, said no
  | 'expired' // not begun in this browser, too long ago, or finished before
  | 'mismatch' // the answer is not to the question that this browser asked
  | 'unproven' // the provider does not stand by its answer: a code used twice, a wrong nonce or signature
  | 'no_email'
  | 'unverified_email'
  | 'no_account'
  | 'inactive'
  | 'other_identity' // the account belongs to another login of the same provider

/** A sign-in that fails as sign-ins may. */
export class SignInRefused extends Error {
  readonly reason: RefusalReason

  constructor(reason: RefusalReason, details: { cause?: unknown } = {}) {
    super(`sign-in refused: ${reason}`, details)
    this.name = 'SignInRefused'
    this.reason = reason
  }
}

/** The sentences of the page, with the provider's name in them. */
export function explain(reason: RefusalReason, name: string): { status: number; sentence: string } {
  const [status, sentence] = EXPLANATIONS[reason]
  return { status, sentence: sentence.replaceAll('{name}', () => name) }
}

const EXPLANATIONS: Record<RefusalReason, [status: number, sentence: string]> = {
  unavailable: [
    503,
    '{name} does not answer at the moment. Try again in a minute, or sign in with your password.',
  ],
  misconfigured: [
    503,
    'Sign-in with {name} is not set up correctly. Tell the people who run this site, or use your password.',
  ],
  busy: [503, 'Too many people are signing in at once. Try again in a minute.'],
  denied: [403, '{name} did not let you in, or you stopped there. You can begin again.'],
  expired: [
    400,
    'This sign-in was begun in another browser, took longer than ten minutes, or is over already. Begin again.',
  ],
  mismatch: [
    400,
    'The answer of {name} belongs to another sign-in, perhaps one in another tab. Begin again.',
  ],
  unproven: [400, 'The answer of {name} could not be confirmed: it works only once. Begin again.'],
  no_email: [
    403,
    '{name} does not tell us your email address, and an account needs one. Allow it there, then begin again.',
  ],
  unverified_email: [
    403,
    'Your email address is not confirmed at {name}. Confirm it there, then begin again.',
  ],
  no_account: [
    403,
    'There is no account here for your email address. Ask the people who run this site for one.',
  ],
  inactive: [
    403,
    'Your account here is not active. Ask the people who run this site to activate it.',
  ],
  other_identity: [
    403,
    'Your account here is connected to another login at {name}. Use that one, or your password.',
  ],
}
