import { chown, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { guardAgainstLeaving } from './guard.ts'

export interface TemporaryFolder extends AsyncDisposable {
  path: string
  remove(): Promise<void>
}

/** An empty folder that nothing remains of, owned by another user when one is given. */
export async function temporaryFolder(owner?: {
  uid: number
  gid: number
}): Promise<TemporaryFolder> {
  const path = await mkdtemp(join(tmpdir(), 'videoflix-test-'))
  const forget = guardAgainstLeaving({ kind: 'folder', path })
  if (owner) await chown(path, owner.uid, owner.gid)
  const remove = async () => {
    await rm(path, { recursive: true, force: true, maxRetries: 5 })
    forget()
  }
  return { path, remove, [Symbol.asyncDispose]: remove }
}
