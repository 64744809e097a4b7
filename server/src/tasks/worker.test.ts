import type { KyselyPlugin, RootOperationNode } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { BACKENDS, TestClock } from '../../../test/harness/app.ts'
import { barrier } from '../../../test/harness/barrier.ts'
import { startDatabases, type Databases } from '../../../test/harness/database.ts'
import {
  aMediaTask,
  aQuickTask,
  aWorkshop,
  done,
  pausing,
  taskOf,
  type MediaTask,
} from '../../../test/harness/workshop.ts'
import type { DatabaseSettings } from '../config/database-settings.ts'
import { transact, type Database } from '../db/database.ts'
import { DatabaseAway } from '../db/outage.ts'
import { inProcessDoorbell } from '../ports/doorbell/in-process.ts'
import { newOwner } from './owner.ts'
import * as queue from './queue.ts'
import { LeaseLost, NotYet, TaskFailure } from './task.ts'

const SOON = { timeout: 10_000, interval: 10 }
const SECOND = 1000

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

  /** On SQLite a process has one connection, as the program has. */
  const anotherWay = async (): Promise<Database> =>
    backend === 'sqlite' ? db : await databases.open(settings)

  describe('claiming', () => {
    test.each([2, 10])('%i workers run one task once', async (count) => {
      const id = await aMediaTask(db)
      const shops = await Promise.all(
        Array.from({ length: count }, async () => aWorkshop({ db: await anotherWay() })),
      )
      await Promise.all(shops.map((shop) => shop.work()))
      expect(shops.flatMap((shop) => shop.runs)).toEqual([{ id, attempt: 1, leaseToken: 1 }])
      expect(await taskOf(db, id)).toMatchObject({ outcome: 'done', attempts: 1, failures: 0 })
    })

    test('ten workers run thirty tasks once each', async () => {
      const ids: number[] = []
      for (let i = 0; i < 30; i += 1) ids.push(await (i % 2 ? aMediaTask(db) : aQuickTask(db)))
      const shops = await Promise.all(
        Array.from({ length: 10 }, async () => aWorkshop({ db: await anotherWay() })),
      )
      await Promise.all(shops.map((shop) => shop.work()))
      const ran = shops.flatMap((shop) => shop.runs.map((run) => run.id))
      expect(ran.sort((a, b) => a - b)).toEqual(ids)
    })

    test('a ring starts what is due, without any sweep', async () => {
      await using shop = aWorkshop({ db })
      shop.worker.start()
      await shop.work()
      const id = await aQuickTask(db)
      shop.doorbell.ring('tasks')
      await expect.poll(() => shop.runs.map((run) => run.id), SOON).toEqual([id])
    })

    test('a ring while it is looking is not lost', async () => {
      const sawNothing = barrier()
      const goOn = barrier()
      const slow = db.withPlugin(
        afterLooks(async () => {
          sawNothing.open()
          await goOn.opened
        }),
      )
      await using shop = aWorkshop({ db: slow })
      shop.worker.start()
      await sawNothing.opened
      const id = await aMediaTask(db)
      shop.doorbell.ring('tasks')
      await new Promise((resolve) => setImmediate(resolve))
      goOn.open()
      await expect.poll(() => shop.runs.map((run) => run.id), SOON).toEqual([id])
    })

    test('a ring while it is claiming is not lost', async () => {
      const claimedNothing = barrier()
      const goOn = barrier()
      const film = pausing()
      // Holds back the answer of the claim that follows the first one, and finds nothing.
      const slow = db.withPlugin(
        afterUpdates(async (result) => {
          if (result.rows.length > 0) return
          claimedNothing.open()
          await goOn.opened
        }),
      )
      const first = await aQuickTask(db)
      await using shop = aWorkshop({ db: slow, quick: (task) => film.run(task) })
      shop.worker.start()
      await claimedNothing.opened
      const second = await aQuickTask(db)
      shop.doorbell.ring('tasks')
      await new Promise((resolve) => setImmediate(resolve))
      goOn.open()
      await expect.poll(() => shop.runs.map((run) => run.id), SOON).toEqual([first, second])
      film.go()
    })

    test('what a run leaves to be done is done, before it is idle', async () => {
      let last = 0
      await using shop = aWorkshop({
        db,
        media: (task) =>
          task.commit(async (trx, now) => {
            const options = { subject: 'tidy:1', now }
            await queue.enqueue(trx, 'tidy_video', { videoId: 1, originalKeys: [] }, options)
          }),
        quick: async (task) => {
          last = task.id
          await done(task)
        },
      })
      await aMediaTask(db)
      await shop.work()
      expect(await taskOf(db, last)).toMatchObject({ outcome: 'done' })
    })

    test('a film does not hold up the small things, another film waits', async () => {
      const film = pausing()
      await using shop = aWorkshop({ db, media: (task) => film.run(task) })
      const [first, second] = [await aMediaTask(db), await aMediaTask(db)]
      const small = [await aQuickTask(db), await aQuickTask(db)]
      shop.worker.start()
      await film.begun
      await expect
        .poll(
          async () => (await Promise.all(small.map((id) => taskOf(db, id)))).map((t) => t.outcome),
          SOON,
        )
        .toEqual(['done', 'done'])
      expect(shop.runs.map((run) => run.id)).not.toContain(second)
      film.go()
      await expect.poll(() => shop.runs.map((run) => run.id), SOON).toContain(second)
      expect(await taskOf(db, first)).toMatchObject({ outcome: 'done' })
    })
  })

  describe('leases', () => {
    test('a lease is renewed while the work goes on', async () => {
      const film = pausing()
      await using shop = aWorkshop({
        db,
        settings: { leaseMs: 300 },
        media: (task) => film.run(task),
      })
      await using other = aWorkshop({ db, clock: shop.clock })
      const id = await aMediaTask(db)
      shop.worker.start()
      await film.begun
      const untils = new Set<number>()
      await expect
        .poll(async () => {
          other.doorbell.ring('tasks')
          await other.work()
          return untils.add((await taskOf(db, id)).lease_until!.getTime()).size
        }, SOON)
        .toBeGreaterThan(5)
      expect(other.runs).toEqual([])
      film.go()
      await shop.work()
      expect(await taskOf(db, id)).toMatchObject({ outcome: 'done', attempts: 1 })
    })

    test('a frozen worker is replaced; when it wakes up it writes nothing and stops', async () => {
      const clock = new TestClock()
      const frozen = pausing()
      const lateWrites: string[] = []
      const ends: unknown[] = []
      await using first = aWorkshop({
        db,
        clock,
        async media(task) {
          await frozen.run({
            ...task,
            async commit() {
              const note = (what: string) => () => Promise.resolve(void lateWrites.push(what))
              ends.push(await task.write(note('write')).catch((error: unknown) => error))
              const end = task.commit(note('commit'))
              ends.push(await end.catch((error: unknown) => error))
              await end
            },
          })
        },
      })
      await using second = aWorkshop({ db, clock })
      const id = await aMediaTask(db)
      first.worker.start()
      await frozen.begun
      await second.work()
      expect(second.runs).toEqual([])
      clock.advance(31 * SECOND)
      await second.work()
      expect(second.runs).toEqual([{ id, attempt: 2, leaseToken: 2 }])
      const before = await taskOf(db, id)
      frozen.go()
      await expect.poll(() => ends, SOON).toHaveLength(2)
      await first.worker.drain()
      expect(ends).toEqual([expect.any(LeaseLost), expect.any(LeaseLost)])
      expect(lateWrites).toEqual([])
      expect(await taskOf(db, id)).toEqual(before)
    })

    test('a run whose lease was taken is aborted at its next heartbeat', async () => {
      const clock = new TestClock()
      const film = pausing()
      await using first = aWorkshop({
        db,
        clock,
        settings: { leaseMs: 300 },
        media: (task) => film.obedient(task),
      })
      await using second = aWorkshop({ db, clock })
      const id = await aMediaTask(db)
      first.worker.start()
      const { signal } = await film.begun
      clock.advance(10 * SECOND)
      await second.work()
      expect(second.runs).toEqual([{ id, attempt: 2, leaseToken: 2 }])
      await expect.poll(() => signal.reason, SOON).toBeInstanceOf(LeaseLost)
      await first.work()
      expect(await taskOf(db, id)).toMatchObject({ outcome: 'done', failures: 0 })
    })

    test('a run whose task was cancelled is aborted, and leaves nothing', async () => {
      const film = pausing()
      await using shop = aWorkshop({
        db,
        settings: { leaseMs: 300 },
        media: (task) => film.obedient(task),
      })
      const id = await aMediaTask(db)
      shop.worker.start()
      const { signal } = await film.begun
      const { subject } = await taskOf(db, id)
      await transact(db, (trx) => queue.cancel(trx, subject))
      await expect.poll(() => signal.reason, SOON).toBeInstanceOf(LeaseLost)
      await shop.work()
      expect(await db.selectFrom('tasks').selectAll().execute()).toEqual([])
      expect(shop.givenUp).toEqual([])
    })

    test.each([
      ['fails', () => Promise.reject(new Error('away'))],
      ['does not answer', (isBack: Promise<void>) => isBack],
    ])('a run stops when its lease ran out while the database %s', async (_how, answer) => {
      const film = pausing()
      const back = barrier()
      let isAway = false
      const flaky = db.withPlugin(
        afterUpdates(() => (isAway ? answer(back.opened) : Promise.resolve())),
      )
      const shop = aWorkshop({
        db: flaky,
        settings: { leaseMs: 300 },
        media: (task) => film.obedient(task),
      })
      await aMediaTask(db)
      shop.worker.start()
      const { signal } = await film.begun
      isAway = true
      await expect.poll(() => signal.reason, SOON).toBeInstanceOf(DatabaseAway)
      isAway = false
      back.open()
      await shop.worker.drain()
    })

    test('what was reported before is the successor’s to say anew', async () => {
      const clock = new TestClock()
      const film = pausing()
      await using shop = aWorkshop({
        db,
        clock,
        async media(task) {
          task.report({ step: 'encode', percent: 42, speed: 2, etaSeconds: 9 })
          await film.run(task)
        },
      })
      const id = await aMediaTask(db)
      shop.worker.start()
      await expect
        .poll(async () => (await taskOf(db, id)).progress, SOON)
        .toEqual({ step: 'encode', percent: 42, speed: 2, etaSeconds: 9 })
      film.go()
      await shop.work()
      expect(await taskOf(db, id)).toMatchObject({ outcome: 'done', progress: null })
    })
  })

  describe('failing', () => {
    const failing = (options: { permanent: boolean }) => () =>
      Promise.reject(new TaskFailure('broken', 'It is broken.', options))

    test('is tried again later and later, and given up after its attempts', async () => {
      const clock = new TestClock()
      await using shop = aWorkshop({ db, clock, media: failing({ permanent: false }) })
      const id = await aMediaTask(db)
      const waits: number[] = []
      for (const failures of [1, 2]) {
        await shop.work()
        const row = await taskOf(db, id)
        expect(row).toMatchObject({ failures, last_error: 'It is broken.', lease_owner: null })
        const wait = row.due_at.getTime() - clock.now().getTime()
        waits.push(Math.round(wait / SECOND))
        clock.advance(wait - 500)
        await shop.work()
        expect(shop.runs).toHaveLength(failures)
        clock.advance(500)
      }
      expect(shop.givenUp).toEqual([])
      await shop.work()
      expect(waits).toEqual([2, 8])
      expect(shop.runs.map((run) => run.attempt)).toEqual([1, 2, 3])
      expect(shop.givenUp).toHaveLength(1)
      expect(await taskOf(db, id)).toMatchObject({
        outcome: 'failed',
        failures: 3,
        last_error: 'It is broken.',
      })
      clock.advance(3600 * SECOND)
      await shop.work()
      expect(shop.runs).toHaveLength(3)
    })

    test('is tried again when its handler says so, and not before the failure says so', async () => {
      const clock = new TestClock()
      const asked: number[] = []
      const leastWaits = [0, 90 * SECOND, 30 * SECOND]
      await using shop = aWorkshop({
        db,
        clock,
        settings: { attempts: 4 },
        retryAfterMs: (failures) => (asked.push(failures), 60 * SECOND),
        media: () => {
          const leastWaitMs = leastWaits[shop.runs.length - 1] ?? 0
          throw new TaskFailure('busy', 'It is busy.', { permanent: false, leastWaitMs })
        },
      })
      const id = await aMediaTask(db)
      const waits: number[] = []
      for (let run = 1; run <= 3; run += 1) {
        await shop.work()
        const wait = (await taskOf(db, id)).due_at.getTime() - clock.now().getTime()
        waits.push(Math.round(wait / SECOND))
        clock.advance(wait)
      }
      expect(asked).toEqual([1, 2, 3])
      expect(waits).toEqual([60, 90, 60])
    })

    describe('for want of room on a disk', () => {
      const full = () =>
        Promise.reject(new TaskFailure('full', 'It is full.', { permanent: false, isLocal: true }))
      const sweepIntervalMs = 10 * SECOND

      test('another worker comes first, which may have room', async () => {
        const clock = new TestClock()
        const settings = { sweepIntervalMs }
        await using shop = aWorkshop({ db, clock, settings, media: full })
        await using other = aWorkshop({ db, clock, settings })
        const id = await aMediaTask(db)
        await shop.work()
        const wait = (await taskOf(db, id)).due_at.getTime() - clock.now().getTime()
        clock.advance(wait + sweepIntervalMs - SECOND)
        await aMediaTask(db, { dueAt: clock.now() })
        await shop.work()
        expect(shop.runs).toHaveLength(1)
        await other.work()
        expect(other.runs.map((run) => run.attempt)).toEqual([2, 1])
      })

      test('mails and the like go on', async () => {
        await using shop = aWorkshop({ db, media: full })
        await aMediaTask(db)
        await shop.work()
        const id = await aQuickTask(db)
        await shop.work()
        expect(await taskOf(db, id)).toMatchObject({ outcome: 'done' })
      })

      test('where there is no other, it is tried again, and given up after many more attempts', async () => {
        const clock = new TestClock()
        await using shop = aWorkshop({ db, clock, settings: { sweepIntervalMs }, media: full })
        const id = await aMediaTask(db)
        for (let run = 1; run <= 9; run += 1) {
          expect(await taskOf(db, id)).toMatchObject({ failures: run - 1, outcome: null })
          await shop.work()
          expect(shop.runs).toHaveLength(run)
          const wait = (await taskOf(db, id)).due_at.getTime() - clock.now().getTime()
          clock.advance(wait + sweepIntervalMs)
        }
        expect(await taskOf(db, id)).toMatchObject({ outcome: 'failed', failures: 9 })
      })

      test('it is tried within little more than a minute when there is room, however often it has failed', async () => {
        const clock = new TestClock()
        const isRoom = { now: false }
        const media = (task: MediaTask) => (isRoom.now ? done(task) : full())
        await using shop = aWorkshop({ db, clock, settings: { sweepIntervalMs }, media })
        const first = await aMediaTask(db)
        for (let run = 1; run <= 6; run += 1) {
          await shop.work()
          const wait = (await taskOf(db, first)).due_at.getTime() - clock.now().getTime()
          if (run < 6) clock.advance(wait + sweepIntervalMs)
        }
        isRoom.now = true
        const next = await aMediaTask(db, { dueAt: clock.now() })
        clock.advance(60 * SECOND + sweepIntervalMs)
        await shop.work()
        expect(await taskOf(db, next)).toMatchObject({ outcome: 'done' })
      })
    })

    test('a run that says “not yet” is no attempt, and comes back when it said', async () => {
      const clock = new TestClock()
      await using shop = aWorkshop({
        db,
        clock,
        media: (task) =>
          shop.runs.length <= 5 ? Promise.reject(new NotYet(40 * SECOND)) : done(task),
      })
      const id = await aMediaTask(db)
      for (let run = 1; run <= 5; run += 1) {
        await shop.work()
        await shop.work()
        expect(shop.runs).toHaveLength(run)
        const row = await taskOf(db, id)
        expect(row).toMatchObject({ attempts: 0, failures: 0, lease_owner: null, outcome: null })
        clock.advance(row.due_at.getTime() - clock.now().getTime())
      }
      await shop.work()
      expect(shop.runs.at(-1)).toMatchObject({ attempt: 1 })
      expect(await taskOf(db, id)).toMatchObject({ outcome: 'done', attempts: 1, failures: 0 })
    })

    test('is tried again by itself when its time has come', async () => {
      let runs = 0
      await using shop = aWorkshop({
        db,
        media: async (task) => {
          runs += 1
          if (runs === 1) throw new Error('not this time')
          await done(task)
        },
      })
      const id = await aMediaTask(db)
      shop.worker.start()
      await expect.poll(async () => (await taskOf(db, id)).outcome, SOON).toBe('done')
      expect(await taskOf(db, id)).toMatchObject({ attempts: 2, failures: 1 })
    })

    test('for good, it is given up at once', async () => {
      await using shop = aWorkshop({ db, media: failing({ permanent: true }) })
      const id = await aMediaTask(db)
      await shop.work()
      expect(shop.runs).toHaveLength(1)
      expect(shop.givenUp).toMatchObject([
        { failure: { code: 'broken', message: 'It is broken.' } },
      ])
      expect(await taskOf(db, id)).toMatchObject({ outcome: 'failed', failures: 1 })
    })

    test('giving up and its effect are one: both or none', async () => {
      const clock = new TestClock()
      let isHard = true
      await using shop = aWorkshop({
        db,
        clock,
        media: failing({ permanent: true }),
        async giveUp(trx) {
          await trx.updateTable('tasks').set({ subject: 'touched' }).execute()
          if (isHard) throw new Error('cannot')
        },
      })
      const id = await aMediaTask(db)
      await shop.work()
      expect(await taskOf(db, id)).toMatchObject({ outcome: null, failures: 0 })
      expect((await taskOf(db, id)).subject).not.toBe('touched')
      isHard = false
      clock.advance(31 * SECOND)
      await shop.work()
      expect(await taskOf(db, id)).toMatchObject({ outcome: 'failed', subject: 'touched' })
    })

    test('a commit and its effect are one: both or none', async () => {
      await using shop = aWorkshop({
        db,
        media: (task) =>
          task.commit(async (trx) => {
            await trx.updateTable('tasks').set({ subject: 'touched' }).execute()
            throw new Error('cannot')
          }),
      })
      const id = await aMediaTask(db)
      await shop.work()
      const row = await taskOf(db, id)
      expect(row).toMatchObject({ outcome: null, failures: 1 })
      expect(row.subject).not.toBe('touched')
    })

    test('what fails after its commit is done nevertheless', async () => {
      await using shop = aWorkshop({
        db,
        async media(task) {
          await done(task)
          throw new Error('while cleaning up')
        },
      })
      const id = await aMediaTask(db)
      await shop.work()
      expect(await taskOf(db, id)).toMatchObject({ outcome: 'done', failures: 0 })
      expect(shop.logs.join('')).toContain('while cleaning up')
    })

    test('a run that ends without a commit has failed', async () => {
      await using shop = aWorkshop({ db, media: () => Promise.resolve() })
      const id = await aMediaTask(db)
      await shop.work()
      expect(await taskOf(db, id)).toMatchObject({ outcome: null, failures: 1, lease_owner: null })
    })

    test('a payload that is not understood reaches no handler', async () => {
      await using shop = aWorkshop({ db })
      const id = await aMediaTask(db)
      await db
        .updateTable('tasks')
        .set({ payload: '{"sourceId":"x"}' })
        .where('id', '=', id)
        .execute()
      await shop.work()
      expect(shop.runs).toEqual([])
      expect(await taskOf(db, id)).toMatchObject({ failures: 1 })
    })

    test('a run that takes too long is stopped, and that is a failure', async () => {
      const film = pausing()
      await using shop = aWorkshop({
        db,
        settings: { timeoutMs: 100 },
        media: (task) => film.obedient(task),
      })
      const id = await aMediaTask(db)
      await shop.work()
      expect((await film.begun).signal.reason).toMatchObject({ code: 'timed_out' })
      expect(await taskOf(db, id)).toMatchObject({
        failures: 1,
        last_error: expect.stringContaining('JOB_TIMEOUT'),
      })
    })

    test('a limit of months is not a limit of nothing', async () => {
      const film = pausing()
      await using shop = aWorkshop({
        db,
        settings: { timeoutMs: 40 * 86_400 * SECOND, leaseMs: 300 },
        media: (task) => film.run(task),
      })
      const id = await aMediaTask(db)
      shop.worker.start()
      const { signal } = await film.begun
      const { lease_until: before } = await taskOf(db, id)
      await expect.poll(async () => (await taskOf(db, id)).lease_until, SOON).not.toEqual(before)
      expect(signal.aborted).toBe(false)
      film.go()
      await shop.work()
    })

    test('one that always kills its worker is given up after three claims an attempt', async () => {
      const clock = new TestClock()
      const id = await aMediaTask(db)
      for (let life = 1; life <= 9; life += 1) {
        const now = clock.now()
        const lease = { owner: `life ${life}`, now, until: new Date(now.getTime() + SECOND) }
        expect(await queue.claim(db, 'media', lease)).toMatchObject({ id, attempts: life })
        clock.advance(2 * SECOND)
      }
      await using shop = aWorkshop({ db, clock })
      await shop.work()
      expect(shop.runs).toEqual([])
      expect(shop.givenUp).toMatchObject([{ failure: { code: 'worker_lost' } }])
      expect(await taskOf(db, id)).toMatchObject({ outcome: 'failed' })
    })
  })

  describe('dead owners', () => {
    const heldBy = async (owner: string): Promise<number> => {
      const id = await aMediaTask(db)
      const [now, until] = [new Date(), new Date(Date.now() + 3600 * SECOND)]
      await queue.claim(db, 'media', { owner, now, until })
      return id
    }
    const isRunning = (pid: number): boolean => pid !== 123

    test('of this host are recognised at the start', async () => {
      const id = await heldBy(newOwner(123))
      await using shop = aWorkshop({ db, isRunning })
      shop.worker.start()
      await expect.poll(async () => (await taskOf(db, id)).outcome, SOON).toBe('done')
      expect(shop.runs).toEqual([{ id, attempt: 2, leaseToken: 2 }])
    })

    test('are recognised at the next sweep', async () => {
      await using shop = aWorkshop({ db, isRunning, settings: { sweepIntervalMs: 50 } })
      shop.worker.start()
      await shop.work()
      const id = await heldBy(newOwner(123))
      await expect.poll(async () => (await taskOf(db, id)).outcome, SOON).toBe('done')
    })

    test('who lives, or is elsewhere, keeps its tasks', async () => {
      const sweeps = vi.fn<() => Promise<void>>(() => Promise.resolve())
      const ids = [await heldBy(newOwner(456)), await heldBy('elsewhere/pid:[9] 123 nonce')]
      await using shop = aWorkshop({
        db,
        isRunning,
        settings: { sweepIntervalMs: 20 },
        alsoSweep: sweeps,
      })
      shop.worker.start()
      await expect.poll(() => sweeps.mock.calls.length, SOON).toBeGreaterThan(2)
      expect(shop.runs).toEqual([])
      expect(await queue.listHeld(db, ids)).toHaveLength(2)
    })

    test('a sweep that fails is followed by the next one, and tasks run all the same', async () => {
      const sweeps = vi.fn<() => Promise<void>>(() => Promise.reject(new Error('no')))
      await using shop = aWorkshop({
        db,
        settings: { sweepIntervalMs: 20 },
        alsoSweep: sweeps,
      })
      shop.worker.start()
      await expect.poll(() => sweeps.mock.calls.length, SOON).toBeGreaterThan(2)
      const id = await aQuickTask(db)
      await expect.poll(async () => (await taskOf(db, id)).outcome, SOON).toBe('done')
    })
  })

  describe('draining', () => {
    test('gives back what runs, uncounted, and claims no more', async () => {
      const film = pausing()
      const doorbell = inProcessDoorbell()
      await using first = aWorkshop({ db, doorbell, media: (task) => film.obedient(task) })
      const [id, waiting] = [await aMediaTask(db), await aMediaTask(db)]
      first.worker.start()
      await film.begun
      await first.worker.drain()
      expect(await taskOf(db, id)).toMatchObject({
        attempts: 0,
        failures: 0,
        lease_owner: null,
        outcome: null,
      })
      doorbell.ring('tasks')
      await first.work()
      expect(first.runs).toHaveLength(1)

      await using second = aWorkshop({ db })
      await second.work()
      expect(second.runs).toEqual([
        { id, attempt: 1, leaseToken: 2 },
        { id: waiting, attempt: 1, leaseToken: 1 },
      ])
    })

    test('what is claimed at that very moment is given back as well', async () => {
      const claimed = barrier()
      const goOn = barrier()
      const slow = db.withPlugin(
        afterUpdates(async (result) => {
          if (result.rows.length === 0) return
          claimed.open()
          await goOn.opened
        }),
      )
      const film = pausing()
      await using shop = aWorkshop({ db: slow, media: (task) => film.obedient(task) })
      const id = await aMediaTask(db)
      shop.worker.start()
      await claimed.opened
      const drained = shop.worker.drain()
      goOn.open()
      await drained
      expect(await taskOf(db, id)).toMatchObject({ attempts: 0, lease_owner: null, outcome: null })
    })

    test('a run that ends well while draining is done', async () => {
      const film = pausing()
      await using shop = aWorkshop({ db, media: (task) => film.run(task) })
      const id = await aMediaTask(db)
      shop.worker.start()
      const { signal } = await film.begun
      const drained = shop.worker.drain()
      await expect.poll(() => signal.reason, SOON).toBe('draining')
      film.go()
      await drained
      expect(await taskOf(db, id)).toMatchObject({ outcome: 'done' })
    })

    // A pool of connections has timers of its own.
    test.runIf(backend === 'sqlite')('leaves no timer behind', async () => {
      const timers = (): number =>
        process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
      const before = timers()
      const shop = aWorkshop({
        db,
        media: (task) => (
          task.report({ step: 'x', percent: 1, speed: null, etaSeconds: null }),
          done(task)
        ),
      })
      for (let i = 0; i < 5; i += 1) await aMediaTask(db)
      shop.worker.start()
      await shop.work()
      expect(shop.runs).toHaveLength(5)
      await shop.worker.drain()
      expect(timers()).toBeLessThanOrEqual(before)
    })
  })
})

/** Does something between an update’s being done and its being known. */
type AfterQuery = (result: { rows: unknown[] }) => Promise<void>

function afterUpdates(work: AfterQuery): KyselyPlugin {
  return after(({ kind }) => kind === 'UpdateQueryNode', work)
}

/** They read from no table: they ask what there is. */
function afterLooks(work: AfterQuery): KyselyPlugin {
  return after((node) => node.kind === 'SelectQueryNode' && node.from === undefined, work)
}

function after(isMeant: (node: RootOperationNode) => boolean, work: AfterQuery): KyselyPlugin {
  const meant = new WeakSet<object>()
  return {
    transformQuery({ node, queryId }) {
      if (isMeant(node)) meant.add(queryId)
      return node
    },
    async transformResult({ result, queryId }) {
      if (meant.has(queryId)) await work(result)
      return result
    },
  }
}
