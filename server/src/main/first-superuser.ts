import type { App } from '../app.ts'
import { countSuperusers } from '../accounts/users.ts'
import type { Settings } from '../config/settings.ts'
import { AppError } from '../errors.ts'
import { newId } from '../ports/ids.ts'

const EMAIL = 'admin@videoflix.local'

/** The sign-in of a superuser that was just made; `password` only when we made it up. */
export interface FirstSuperuser {
  email: string
  password: string | null
}

/** On a database without superusers, makes one. Null when there was one, or another process was faster. */
export async function makeFirstSuperuser(
  app: App,
  settings: Settings['firstSuperuser'],
): Promise<FirstSuperuser | null> {
  if ((await countSuperusers(app.db)) > 0) return null
  const email = (settings.email ?? EMAIL).normalize('NFKC').trim().toLowerCase()
  const password = settings.password ?? newId()
  try {
    await app.accounts.createSuperuser({ email, password, username: settings.username })
  } catch (error) {
    if (error instanceof AppError && error.fields?.['email']) return null
    if (error instanceof AppError && error.fields?.['password']) {
      const reason = error.fields['password'].join(' ')
      throw new AppError('misconfigured', `DJANGO_SUPERUSER_PASSWORD will not do: ${reason}`)
    }
    throw error
  }
  return { email, password: settings.password === null ? password : null }
}
