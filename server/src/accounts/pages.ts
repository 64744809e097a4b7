import { render } from '../templates/templates.ts'

/** What a person sees who opens a confirmation link that does not hold. */
export function confirmationFailedPage(frontendUrl: string): string {
  return render('pages/confirmation-failed', { frontendUrl })
}

export function resetPasswordPage(minLength: number): string {
  return render('pages/reset-password', { minLength })
}
