import { createInterface } from 'node:readline/promises'
import { newSuperuser } from '@videoflix/contract'
import { AppError, invalid } from '../errors.ts'
import { launch, migrateOrExplain } from './lifecycle.ts'

/** `videoflix createsuperuser`: from options, the environment, or questions on the terminal. */
export async function createSuperuser(given: { email?: string; password?: string }): Promise<void> {
  const { app, settings } = await launch()
  try {
    await migrateOrExplain(settings)
    const email = given.email ?? settings.firstSuperuser.email ?? (await ask('Email: '))
    const password =
      given.password ?? settings.firstSuperuser.password ?? (await ask('Password (shown): '))
    const parsed = newSuperuser.safeParse({ email, password })
    if (!parsed.success) {
      const [issue] = parsed.error.issues
      throw invalid({ [String(issue?.path[0])]: [issue?.message ?? 'Not valid.'] })
    }
    const username = settings.firstSuperuser.username
    const user = await app.accounts.createSuperuser({ ...parsed.data, username })
    process.stdout.write(`Superuser ${user.email} was made.\n`)
  } finally {
    await app.close()
  }
}

async function ask(question: string): Promise<string> {
  if (!process.stdin.isTTY) {
    throw new AppError(
      'misconfigured',
      'Say who it is: --email and --password, or DJANGO_SUPERUSER_EMAIL and DJANGO_SUPERUSER_PASSWORD.',
    )
  }
  const terminal = createInterface({ input: process.stdin, output: process.stdout })
  try {
    return await terminal.question(question)
  } finally {
    terminal.close()
  }
}
