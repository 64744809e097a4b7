import { mkdir, readdir, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BACKENDS } from '../../../test/harness/app.ts'
import { startDatabases, type Databases } from '../../../test/harness/database.ts'
import { temporaryFolder, type TemporaryFolder } from '../../../test/harness/temporary-folder.ts'
import { aMediaTask } from '../../../test/harness/workshop.ts'
import { transact, type Database } from '../db/database.ts'
import { claim, finish, release } from '../tasks/queue.ts'
import { workFolder } from './run-step.ts'
import { scratchName } from './scratch.ts'
import { removeStaleWork } from './stale-work.ts'

describe.each(BACKENDS)('on %s', (backend) => {
  let databases: Databases
  let db: Database
  let folder: TemporaryFolder
  beforeAll(async () => {
    databases = await startDatabases(backend)
    db = (await databases.migrated()).db
    folder = await temporaryFolder()
  })
  afterAll(async () => {
    await databases.stop()
    await folder.remove()
  })

  async function workOf(name: string): Promise<void> {
    await mkdir(join(folder.path, name, 'files'), { recursive: true })
    await writeFile(join(folder.path, name, 'files', '360p.mp4'), 'half')
  }

  async function aClaim(): Promise<{ id: number; leaseToken: number }> {
    await aMediaTask(db)
    const now = new Date()
    const until = new Date(now.getTime() + 30_000)
    const row = await claim(db, 'media', { owner: 'me', now, until })
    return { id: row!.id, leaseToken: row!.lease_token }
  }

  test('work goes when nobody has its lease, and stays while somebody does', async () => {
    const [held, finished, released] = [await aClaim(), await aClaim(), await aClaim()]
    await transact(db, (trx) => finish(trx, finished, { outcome: 'done', now: new Date() }))
    await release(db, released)
    const earlier = { ...held, leaseToken: held.leaseToken - 1 }
    const unknown = { id: 999_999, leaseToken: 1 }
    for (const attempt of [held, finished, released, earlier, unknown]) {
      await workOf(workFolder(attempt))
    }
    await workOf('somebody else’s')
    await removeStaleWork(db, folder.path)
    expect((await readdir(folder.path)).sort()).toEqual([workFolder(held), 'somebody else’s'])
    await removeStaleWork(db, folder.path)
    expect(await readdir(join(folder.path, workFolder(held), 'files'))).toEqual(['360p.mp4'])
  })

  test('what a command leaves that is killed goes when a day is over', async () => {
    const [old, growing, fresh] = ['a', 'b', 'c'].map((purpose) => scratchName(purpose))
    for (const name of [old!, growing!, fresh!]) await workOf(name)
    const before = new Date(Date.now() - 25 * 3_600_000)
    const age = (...names: string[]): Promise<void> =>
      utimes(join(folder.path, ...names), before, before)
    for (const name of [old!, growing!]) {
      await age(name)
      await age(name, 'files')
    }
    await age(old!, 'files', '360p.mp4')
    await removeStaleWork(db, folder.path)
    const left = await readdir(folder.path)
    expect(left).not.toContain(old)
    expect(left).toEqual(expect.arrayContaining([growing, fresh]))
  })

  test('no folder of work is no work', async () => {
    await expect(removeStaleWork(db, join(folder.path, 'absent'))).resolves.toBeUndefined()
  })
})
