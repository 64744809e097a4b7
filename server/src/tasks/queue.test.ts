import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { sql } from 'kysely'
import { barrier } from '../../../test/harness/barrier.ts'
import { BACKENDS } from '../../../test/harness/app.ts'
import { startDatabases, type Databases } from '../../../test/harness/database.ts'
import type { DatabaseSettings } from '../config/database-settings.ts'
import { transact, type Database } from '../db/database.ts'
import * as queue from './queue.ts'
import type { Lane, TaskKind } from './task.ts'
import { aMediaTask, aQuickTask, taskOf } from '../../../test/harness/workshop.ts'

const NOW = new Date('2026-01-01T00:00:00.000Z')
const after = (seconds: number): Date => new Date(NOW.getTime() + seconds * 1000)
const DUE = { dueAt: after(-60) }

describe.each(BACKENDS)('on %s', (backend) => {
  let databases: Databases
  let db: Database
  let settings: DatabaseSettings
  beforeAll(async () => {
    databases = await startDatabases(backend)
    ;({ db, settings } = await databases.migrated())
  })
  beforeEach(() => db.deleteFrom('tasks').execute())
  afterAll(() => databases.stop())

  const claim = (options: { owner?: string; now?: Date; until?: Date; db?: Database } = {}) =>
    queue.claim(options.db ?? db, 'media', {
      owner: options.owner ?? 'me',
      now: options.now ?? NOW,
      until: options.until ?? after(30),
    })

  test('claims what is due the longest, of two the older one, and nothing early', async () => {
    const later = await aMediaTask(db, { dueAt: after(-1) })
    const first = await aMediaTask(db, { dueAt: after(-9) })
    const second = await aMediaTask(db, { dueAt: after(-9) })
    await aMediaTask(db, { dueAt: after(1) })
    const claimed = [await claim(), await claim(), await claim(), await claim()]
    expect(claimed.map((row) => row?.id)).toEqual([first, second, later, undefined])
    expect(claimed[0]).toMatchObject({
      attempts: 1,
      lease_token: 1,
      lease_owner: 'me',
      lease_until: after(30),
    })
  })

  test('claims of its own lane only, and nothing that is finished', async () => {
    const quick = await aQuickTask(db, DUE)
    expect(await claim()).toBeNull()
    const lease = { owner: 'me', now: NOW, until: after(30) }
    const row = await queue.claim(db, 'quick', lease)
    expect(row?.id).toBe(quick)
    const held = { id: quick, leaseToken: 1 }
    await transact(db, (trx) => queue.finish(trx, held, { outcome: 'done', now: NOW }))
    expect(await queue.claim(db, 'quick', { ...lease, now: after(100) })).toBeNull()
  })

  test('tells the lanes in which something is due, of those that are asked for', async () => {
    const lanesDue = (lanes: Lane[], kinds?: TaskKind[]) =>
      queue.listDueLanes(db, lanes, NOW, kinds)
    await aMediaTask(db, { dueAt: after(1) })
    await aQuickTask(db, DUE)
    expect(await lanesDue(['media', 'files', 'quick'])).toEqual(['quick'])
    await aMediaTask(db, DUE)
    expect(await lanesDue(['media', 'files', 'quick'])).toEqual(['media', 'quick'])
    expect(await lanesDue(['files', 'quick'])).toEqual(['quick'])
    expect(await lanesDue(['media', 'quick'], ['encode_part', 'send_mail'])).toEqual(['media'])
    await claim()
    expect(await lanesDue(['media'])).toEqual([])
  })

  test('forgives an attempt once, and leaves the task to whoever has it by now', async () => {
    const id = await aMediaTask(db, DUE)
    await claim({ owner: 'first' })
    await claim({ owner: 'second', now: after(31), until: after(61) })
    await queue.forgive(db, { id, leaseToken: 1 })
    const held = { lease_owner: 'second', lease_token: 2, lease_until: after(61) }
    expect(await taskOf(db, id)).toMatchObject({ attempts: 1, ...held })
    await queue.forgive(db, { id, leaseToken: 2 })
    expect(await taskOf(db, id)).toMatchObject({ attempts: 0, lease_owner: null })
  })

  test('many claimers at once take each task once', async () => {
    const ids: number[] = []
    for (let i = 0; i < 20; i += 1) ids.push(await aMediaTask(db, DUE))
    const others = await Promise.all([1, 2, 3, 4, 5].map(() => databases.open(settings)))
    const claimed = await Promise.all(
      Array.from({ length: 40 }, (_, i) => claim({ db: others[i % 5]!, owner: `${i}` })),
    )
    // PostgreSQL may skip a row that another claimer is about to let go: nothing is taken twice, and all in the end.
    const taken = claimed.flatMap((row) => row?.id ?? [])
    for (let row = await claim(); row; row = await claim()) taken.push(row.id)
    expect(taken.sort((a, b) => a - b)).toEqual(ids)
  })

  // SQLite has one writer at a time.
  test.skipIf(backend === 'sqlite')(
    'a claimer passes by what another one is about to take',
    async () => {
      const ids = [await aMediaTask(db, DUE), await aMediaTask(db, DUE)]
      const [taken, passedOn] = [barrier(), barrier()]
      const slow = transact(db, async (trx) => {
        const row = await claim({ db: trx })
        taken.open()
        await passedOn.opened
        return row?.id
      })
      await taken.opened
      const other = await databases.open(settings)
      await sql`set lock_timeout = '2s'`.execute(other)
      expect((await claim({ db: other }))?.id).toBe(ids[1])
      passedOn.open()
      expect(await slow).toBe(ids[0])
    },
  )

  test('a lease keeps others away until it ends, and then counts as an attempt', async () => {
    const id = await aMediaTask(db, DUE)
    await claim({ owner: 'first' })
    expect(await claim({ now: after(30) })).toBeNull()
    expect(await claim({ owner: 'second', now: after(31), until: after(61) })).toMatchObject({
      id,
      attempts: 2,
      failures: 0,
      lease_token: 2,
      lease_owner: 'second',
    })
  })

  test('whose lease was taken over changes nothing any more', async () => {
    const id = await aMediaTask(db, DUE)
    await claim({ owner: 'first' })
    await claim({ owner: 'second', now: after(31), until: after(61) })
    const before = await taskOf(db, id)
    const late = { id, leaseToken: 1 }
    expect(await queue.renew(db, late, after(99))).toBe(false)
    await queue.storeProgress(db, late, { percent: 1 })
    await queue.postpone(db, late, { dueAt: after(99), lastError: 'late' })
    await queue.release(db, late)
    await transact(db, async (trx) => {
      expect(await queue.lockHeld(trx, late)).toBe(false)
      expect(await queue.finish(trx, late, { outcome: 'done', now: NOW })).toBe(false)
    })
    expect(await taskOf(db, id)).toEqual(before)
    expect(await queue.listHeld(db, [id])).toEqual([{ id, leaseToken: 2 }])
  })

  test('a lease that was given back is not prolonged by a late heartbeat', async () => {
    const id = await aMediaTask(db, DUE)
    await claim()
    const lease = { id, leaseToken: 1 }
    await queue.postpone(db, lease, { dueAt: after(2), lastError: 'no' })
    expect(await queue.renew(db, lease, after(99))).toBe(false)
    await queue.storeProgress(db, lease, { percent: 99 })
    expect(await taskOf(db, id)).toMatchObject({ lease_until: null, progress: null, failures: 1 })
    expect(await claim({ now: after(2) })).toMatchObject({ id })
  })

  test('what is given back is as if it had not been claimed, but for the token', async () => {
    const id = await aMediaTask(db, DUE)
    const before = await taskOf(db, id)
    await claim()
    await queue.storeProgress(db, { id, leaseToken: 1 }, { percent: 5 })
    await queue.release(db, { id, leaseToken: 1 })
    expect(await taskOf(db, id)).toEqual({ ...before, lease_token: 1 })
  })

  test('a finished task has no lease, no progress, and is finished once', async () => {
    const id = await aMediaTask(db, DUE)
    await claim()
    const lease = { id, leaseToken: 1 }
    await queue.storeProgress(db, lease, { percent: 5 })
    const end = { outcome: 'failed', now: NOW, lastError: 'why' } as const
    expect(await transact(db, (trx) => queue.finish(trx, lease, end))).toBe(true)
    expect(await transact(db, (trx) => queue.finish(trx, lease, end))).toBe(false)
    await queue.storeProgress(db, lease, { percent: 99 })
    expect(await taskOf(db, id)).toMatchObject({
      outcome: 'failed',
      failures: 1,
      last_error: 'why',
      lease_owner: null,
      lease_until: null,
      progress: null,
      finished_at: NOW,
    })
    expect(await queue.listHeld(db, [id])).toEqual([])
  })

  test('a task whose fact is rolled back does not exist', async () => {
    const rolledBack = transact(db, async (trx) => {
      const options = { subject: 's', now: NOW }
      await queue.enqueue(trx, 'process_source', { sourceId: 1 }, options)
      throw new Error('no')
    })
    await expect(rolledBack).rejects.toThrow('no')
    expect(await claim({ now: after(99) })).toBeNull()
  })

  test('cancelling takes the tasks of one subject, running ones too', async () => {
    const [running, other] = [await aMediaTask(db, DUE), await aMediaTask(db, DUE)]
    await claim()
    const { subject } = await taskOf(db, running)
    await transact(db, (trx) => queue.cancel(trx, subject))
    expect(await queue.renew(db, { id: running, leaseToken: 1 }, after(60))).toBe(false)
    expect(await claim()).toMatchObject({ id: other })
  })

  test('the leases of the dead end, those of the living go on', async () => {
    const [dead, alive] = [await aMediaTask(db, DUE), await aMediaTask(db, DUE)]
    await claim({ owner: 'dead' })
    await claim({ owner: 'alive' })
    expect((await queue.listOwners(db)).sort()).toEqual(['alive', 'dead'])
    await queue.endLeasesOf(db, [])
    await queue.endLeasesOf(db, ['dead'])
    expect(await queue.listHeld(db, [dead, alive])).toEqual([{ id: alive, leaseToken: 1 }])
    expect(await claim()).toMatchObject({ id: dead, attempts: 2, lease_token: 2 })
  })

  test('finished tasks are forgotten in time, unfinished ones never', async () => {
    const [finished, waiting] = [await aMediaTask(db, DUE), await aMediaTask(db, DUE)]
    await claim()
    const lease = { id: finished, leaseToken: 1 }
    await transact(db, (trx) => queue.finish(trx, lease, { outcome: 'done', now: NOW }))
    await queue.forgetFinished(db, NOW)
    expect(await taskOf(db, finished)).toMatchObject({ outcome: 'done' })
    await queue.forgetFinished(db, after(1))
    const left = await db.selectFrom('tasks').select('id').execute()
    expect(left).toEqual([{ id: waiting }])
  })
})
