import { setTimeout as pause } from 'node:timers/promises'
import { MemoryLocker, type Lock, type Locker, type RequestRelease } from '@tus/server'
import type { Database } from '../db/database.ts'
import type { Clock } from '../ports/clock.ts'
import { isDead, newOwner } from '../tasks/owner.ts'

/** How long a lock outlives a process of another machine that has died; of this one, it is seen at once. */
const HELD_MS = 10_000
const RENEWAL_MS = 2000
const LOOK_MS = 250
/** How long to wait for whoever has it. */
const PATIENCE_MS = 20_000

interface Needs {
  db: Database
  clock: Clock
  process: { pid: number; isRunning(pid: number): boolean }
}

/**
 * One writer an upload, however many servers there are. Whoever comes last gets it: who has it is asked to let go, as
 * its client is probably gone. Inside of this process at once, elsewhere at its next renewal.
 */
export function uploadLocker(needs: Needs): Locker {
  const here = new MemoryLocker({ acquireLockTimeout: PATIENCE_MS })
  return { newLock: (id) => new UploadLock(needs, here.newLock(id), id) }
}

class UploadLock implements Lock {
  readonly #needs: Needs
  readonly #here: Lock
  readonly #id: string
  readonly #owner: string
  #renewal: NodeJS.Timeout | undefined

  constructor(needs: Needs, here: Lock, id: string) {
    this.#needs = needs
    this.#here = here
    this.#id = id
    this.#owner = newOwner(needs.process.pid)
  }

  async lock(signal: AbortSignal, requestRelease: RequestRelease): Promise<void> {
    await this.#here.lock(signal, requestRelease)
    try {
      await this.#acquire(signal)
    } catch (error) {
      await this.#here.unlock()
      throw error
    }
    this.#renewal = setInterval(() => void this.#renew(requestRelease), RENEWAL_MS)
  }

  async unlock(): Promise<void> {
    clearInterval(this.#renewal)
    try {
      const { db } = this.#needs
      await db
        .deleteFrom('upload_locks')
        .where('upload_id', '=', this.#id)
        .where('owner', '=', this.#owner)
        .execute()
    } finally {
      await this.#here.unlock()
    }
  }

  async #acquire(signal: AbortSignal): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS
    while (!(await this.#take())) {
      if (signal.aborted || performance.now() > deadline) throw isLocked()
      await this.#askForRelease()
      await pause(LOOK_MS)
    }
  }

  /** If nobody has it, or whoever had it has not renewed it. */
  async #take(): Promise<boolean> {
    const { db } = this.#needs
    const lock = { owner: this.#owner, held_until: this.#until(), is_wanted: false }
    const taken = await db
      .insertInto('upload_locks')
      .values({ upload_id: this.#id, ...lock })
      .onConflict((conflict) =>
        conflict
          .column('upload_id')
          .doUpdateSet(lock)
          .where('upload_locks.held_until', '<', this.#needs.clock.now()),
      )
      .returning('owner')
      .executeTakeFirst()
    return taken !== undefined
  }

  async #askForRelease(): Promise<void> {
    const { db, process } = this.#needs
    const holder = await db
      .updateTable('upload_locks')
      .set({ is_wanted: true })
      .where('upload_id', '=', this.#id)
      .returning('owner')
      .executeTakeFirst()
    // A process by our own number is this one: what holds the lock here lets go by itself, or its time runs out.
    const isAnothers = holder !== undefined && !holder.owner.includes(` ${process.pid} `)
    if (!isAnothers || !isDead(holder.owner, this.#owner, (pid) => process.isRunning(pid))) return
    await db.deleteFrom('upload_locks').where('owner', '=', holder.owner).execute()
  }

  async #renew(requestRelease: RequestRelease): Promise<void> {
    const { db } = this.#needs
    try {
      const ours = await db
        .updateTable('upload_locks')
        .set({ held_until: this.#until() })
        .where('upload_id', '=', this.#id)
        .where('owner', '=', this.#owner)
        .returning('is_wanted')
        .executeTakeFirst()
      if (ours === undefined || ours.is_wanted) await requestRelease()
    } catch {
      // The database is away: whoever wants the lock has to ask it too.
    }
  }

  #until(): Date {
    return new Date(this.#needs.clock.now().getTime() + HELD_MS)
  }
}

/** As the library throws; 423 is what clients of the protocol try again. */
function isLocked(): Error {
  const body = JSON.stringify({ detail: 'This upload is being written to: try again.' })
  return Object.assign(new Error('locked'), { status_code: 423, body })
}
