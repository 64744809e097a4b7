import { render } from '../templates/templates.ts'

/** What a person sees who opens a confirmation link that does not hold. */
export function confirmationFailedPage(frontendUrl: string): string {
  return render('pages/confirmation-failed', { frontendUrl })
}

/** What a person sees whose address was not changed: the link does not hold, or the address is another account's. */
export function emailChangeFailedPage(values: { frontendUrl: string; isTaken: boolean }): string {
  return render('pages/email-change-failed', values)
}

export function resetPasswordPage(minLength: number): string {
  return render('pages/reset-password', { minLength })
}
