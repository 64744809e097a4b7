import { expressionBuilder, sql } from 'kysely'
import type { Database, Transacting } from '../db/database.ts'
import { deleteInPieces } from '../db/delete-in-pieces.ts'
import { asJson, type Tables, type TaskRow } from '../db/tables.ts'
import { laneOf, type Lane, type Lease, type Payload, type TaskKind } from './task.ts'

/**
 * The statements on the table `tasks`. A row is the task; a lease on it is a loan: owner, fencing token and end.
 */

/** Writes a task in the transaction of the fact that requires it. Ring the doorbell after the commit. Returns its id. */
export async function enqueue<K extends TaskKind>(
  trx: Transacting,
  kind: K,
  payload: Payload<K>,
  options: { subject: string; now: Date; dueAt?: Date; priority?: number },
): Promise<number> {
  const { id } = await trx
    .insertInto('tasks')
    .values({
      kind,
      lane: laneOf(kind),
      payload: asJson(payload),
      subject: options.subject,
      due_at: options.dueAt ?? options.now,
      priority: options.priority ?? 0,
      created_at: options.now,
      lease_owner: null,
      lease_until: null,
      last_error: null,
      finished_at: null,
      outcome: null,
    })
    .returning('id')
    .executeTakeFirstOrThrow()
  return id
}

/**
 * Takes the task of the lane that is due the longest, the most urgent first, or null. Never waits for another claimer.
 * Of `kinds` alone, where they are told.
 */
export async function claim(
  db: Database,
  lane: Lane,
  lease: { owner: string; now: Date; until: Date },
  kinds?: TaskKind[],
): Promise<TaskRow | null> {
  const claimed = await db
    .updateTable('tasks')
    .set((eb) => ({
      lease_owner: lease.owner,
      lease_until: lease.until,
      lease_token: eb('lease_token', '+', 1),
      attempts: eb('attempts', '+', 1),
    }))
    .where('id', '=', () => firstDue(lane, lease.now, kinds).forUpdate().skipLocked())
    .returningAll()
    .executeTakeFirst()
  return claimed ?? null
}

/** Of these lanes, those in which something is due; of `kinds` alone, where they are told. */
export async function listDueLanes(
  db: Database,
  lanes: Lane[],
  now: Date,
  kinds?: TaskKind[],
): Promise<Lane[]> {
  // NOTE: not `exists`: it may be answered by reading the table, and with many tasks that are done this takes long.
  const first = await db
    .selectNoFrom(() => lanes.map((lane) => firstDue(lane, now, kinds).as(lane)))
    .executeTakeFirstOrThrow()
  return lanes.filter((lane) => first[lane] !== null)
}

/** Its id; the index `tasks_due` has the tasks in this order. */
function firstDue(lane: Lane, now: Date, kinds?: TaskKind[]) {
  return expressionBuilder<Tables>()
    .selectFrom('tasks as due')
    .select('due.id')
    .where('due.finished_at', 'is', null)
    .where('due.lane', '=', lane)
    .$if(kinds !== undefined, (due) => due.where('due.kind', 'in', kinds ?? []))
    .where('due.due_at', '<=', now)
    .where((or) => or('due.lease_until', 'is', null).or('due.lease_until', '<', now))
    .orderBy('due.priority')
    .orderBy('due.due_at')
    .orderBy('due.id')
    .limit(1)
}

/** Prolongs a lease. False when it is no longer ours. */
export async function renew(db: Database, task: Lease, until: Date): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('tasks')
    .set({ lease_until: until })
    .where('id', '=', task.id)
    .where('lease_token', '=', task.leaseToken)
    .where('lease_owner', 'is not', null)
    .executeTakeFirst()
  return numUpdatedRows > 0n
}

/** Whether the lease is ours, and will be until the transaction ends. */
export async function lockHeld(trx: Transacting, task: Lease): Promise<boolean> {
  const row = await trx
    .selectFrom('tasks')
    .select('id')
    .where('id', '=', task.id)
    .where('lease_token', '=', task.leaseToken)
    .where('lease_owner', 'is not', null)
    .forUpdate()
    .executeTakeFirst()
  return row !== undefined
}

/** Comes late without harm: a lease that has ended has no progress. */
export async function storeProgress(db: Database, task: Lease, progress: unknown): Promise<void> {
  await db
    .updateTable('tasks')
    .set({ progress: asJson(progress) })
    .where('id', '=', task.id)
    .where('lease_token', '=', task.leaseToken)
    .where('lease_owner', 'is not', null)
    .execute()
}

/** Ends a task we hold. False when we hold it no longer: the caller must roll back. */
export async function finish(
  trx: Transacting,
  task: Lease,
  end: { outcome: 'done' | 'failed'; now: Date; lastError?: string },
): Promise<boolean> {
  const { numUpdatedRows } = await trx
    .updateTable('tasks')
    .set((eb) => ({
      finished_at: end.now,
      outcome: end.outcome,
      lease_owner: null,
      lease_until: null,
      progress: null,
      failures: end.outcome === 'failed' ? eb('failures', '+', 1) : eb.ref('failures'),
      last_error: end.lastError ?? eb.ref('last_error'),
    }))
    .where('id', '=', task.id)
    .where('lease_token', '=', task.leaseToken)
    .where('finished_at', 'is', null)
    .executeTakeFirst()
  return numUpdatedRows > 0n
}

/** Whether it was this claim that ended the task well. */
export async function isDone(trx: Transacting, task: Lease): Promise<boolean> {
  const row = await trx
    .selectFrom('tasks')
    .select('id')
    .where('id', '=', task.id)
    .where('lease_token', '=', task.leaseToken)
    .where('outcome', '=', 'done')
    .executeTakeFirst()
  return row !== undefined
}

/** Gives a task back that failed, to be tried at `dueAt`. */
export async function postpone(
  db: Database,
  task: Lease,
  retry: { dueAt: Date; lastError: string },
): Promise<void> {
  await db
    .updateTable('tasks')
    .set((eb) => ({
      failures: eb('failures', '+', 1),
      due_at: retry.dueAt,
      last_error: retry.lastError,
      lease_owner: null,
      lease_until: null,
      progress: null,
    }))
    .where('id', '=', task.id)
    .where('lease_token', '=', task.leaseToken)
    // Not if it was given back before, and the answer to that was lost.
    .where('lease_owner', 'is not', null)
    .where('finished_at', 'is', null)
    .execute()
}

/**
 * Gives a task back as if it had not been claimed: nobody is to blame. It stays due, or is so at `dueAt`. False when it
 * was not ours any more.
 */
export async function release(db: Database, task: Lease, dueAt?: Date): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('tasks')
    .set((eb) => ({
      ...(dueAt && { due_at: dueAt }),
      attempts: eb('attempts', '-', 1),
      lease_owner: null,
      lease_until: null,
      progress: null,
    }))
    .where('id', '=', task.id)
    .where('lease_token', '=', task.leaseToken)
    // Not if it was given back before, and the answer to that was lost.
    .where('lease_owner', 'is not', null)
    .where('finished_at', 'is', null)
    .executeTakeFirst()
  return numUpdatedRows > 0n
}

/** As `release`; if somebody else has the task by now, they have it without our attempt. */
export async function forgive(db: Database, task: Lease): Promise<void> {
  if (await release(db, task)) return
  await db
    .updateTable('tasks')
    .set((eb) => ({ attempts: eb('attempts', '-', 1) }))
    .where('id', '=', task.id)
    .where('lease_token', '>', task.leaseToken)
    .where('attempts', '>', 0)
    .where('finished_at', 'is', null)
    .execute()
}

/** Who holds leases now. */
export async function listOwners(db: Database): Promise<string[]> {
  const rows = await db
    .selectFrom('tasks')
    .select('lease_owner')
    .distinct()
    .where('finished_at', 'is', null)
    .where('lease_owner', 'is not', null)
    .execute()
  return rows.flatMap((row) => row.lease_owner ?? [])
}

/** Of these tasks, the claims that are held now. */
export async function listHeld(db: Database, ids: number[]): Promise<Lease[]> {
  if (ids.length === 0) return []
  const rows = await db
    .selectFrom('tasks')
    .select(['id', 'lease_token'])
    .where('id', 'in', ids)
    .where('lease_owner', 'is not', null)
    .execute()
  return rows.map((row) => ({ id: row.id, leaseToken: row.lease_token }))
}

/**
 * Ends all leases of owners that are known to be dead. The attempts count. Several workers do so at once: what another
 * has in hand is left to it, as they would wait for each other.
 */
export async function endLeasesOf(db: Database, owners: string[]): Promise<void> {
  if (owners.length === 0) return
  await db
    .updateTable('tasks')
    .set({ lease_owner: null, lease_until: null, progress: null })
    .where('id', 'in', (eb) =>
      eb
        .selectFrom('tasks as held')
        .select('held.id')
        .where('held.lease_owner', 'in', owners)
        .forUpdate()
        .skipLocked(),
    )
    .execute()
}

/** Removes the tasks about a subject, running ones too: their runs find the lease lost. */
export async function cancel(trx: Transacting, subject: string): Promise<void> {
  await trx.deleteFrom('tasks').where('subject', '=', subject).execute()
}

export async function forgetFinished(db: Database, before: Date): Promise<void> {
  await deleteInPieces(db, 'tasks', 'id', sql`finished_at < ${before}`)
}
