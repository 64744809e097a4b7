import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const execute = promisify(execFile)

/** Whom servers run as that refuse to be root, or had better not be; undefined when the tests are not root either. */
export async function unprivilegedUser(): Promise<{ uid: number; gid: number } | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const idOf = async (user: string, which: '-u' | '-g') =>
    Number((await execute('id', [which, user])).stdout)
  for (const user of ['postgres', 'nobody'])
    try {
      return { uid: await idOf(user, '-u'), gid: await idOf(user, '-g') }
    } catch {
      continue
    }
  throw new Error('The tests run as root, and there is no user postgres or nobody to be instead')
}
