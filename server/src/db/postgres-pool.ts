import type { PostgresPool, PostgresPoolClient } from 'kysely'
import pg from 'pg'
import { databaseIsFull, DatabaseAway, type OutageLog } from './outage.ts'

interface Guarding {
  /** Null: however long it takes. */
  statementTimeoutMs: number | null
  outage: OutageLog
}

/**
 * A pool whose failures are ours: all that has to do with the connection, and not with the statement, is `DatabaseAway`.
 * No statement waits for ever for a server that is frozen or behind a network that drops packets, and no connection is
 * used again that is broken or leads to a server which takes no more writes.
 */
export function guardPool(pool: pg.Pool, guarding: Guarding): PostgresPool {
  const broken = new WeakSet<pg.ClientBase>()
  // A connection that breaks between two statements is the next one's failure and nobody's crash.
  pool.on('error', () => {})
  pool.on('connect', (client) => void client.on('error', () => broken.add(client)))
  return {
    options: pool.options,
    async connect() {
      try {
        return guardClient(await pool.connect(), broken, guarding)
      } catch (cause) {
        guarding.outage.isAway(cause)
        throw new DatabaseAway(cause)
      }
    },
    end: () => pool.end(),
  }
}

function guardClient(
  client: pg.PoolClient,
  broken: WeakSet<pg.ClientBase>,
  { statementTimeoutMs, outage }: Guarding,
): PostgresPoolClient {
  async function query(text: string, values: unknown[]): Promise<pg.QueryResult> {
    try {
      if (broken.has(client)) throw new Error('the connection is broken')
      const answer = client.query(text, values)
      const result = await (statementTimeoutMs === null
        ? answer
        : answerWithin(answer, statementTimeoutMs))
      outage.isThere()
      return result
    } catch (error) {
      if (error instanceof NoAnswer || leadsNowhere(error)) broken.add(client)
      throw translated(error)
    }
  }

  function translated(error: unknown): unknown {
    if (codeOf(error) === DISK_FULL) return databaseIsFull(error)
    if (!broken.has(client) && !isBusy(error)) return error
    outage.isAway(error)
    return new DatabaseAway(error)
  }

  return {
    query: query as unknown as PostgresPoolClient['query'],
    release: (isDiscarded?: boolean) => client.release(isDiscarded || broken.has(client)),
  }
}

class NoAnswer extends Error {
  constructor(afterMs: number) {
    super(`PostgreSQL gave no answer within ${afterMs / 1000} s`)
  }
}

/** Longer than PostgreSQL's own timeout, which leaves the connection usable. */
const GRACE_MS = 1000

/**
 * The time is in two parts: after a process was frozen itself its timers end before it reads what arrived meanwhile, and
 * the second part lets it.
 */
async function answerWithin<T>(answer: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    const giveUp = (): void => reject(new NoAnswer(timeoutMs + GRACE_MS))
    timer = setTimeout(() => {
      timer = setTimeout(giveUp, GRACE_MS)
    }, timeoutMs)
  })
  try {
    return await Promise.race([answer, late])
  } finally {
    clearTimeout(timer)
  }
}

/** https://www.postgresql.org/docs/current/errcodes-appendix.html */
const DISK_FULL = '53100'
/** A server that was the primary before a failover, and is a standby now. */
const READ_ONLY = '25006'
/** By its own timeout for idle transactions, because we were frozen. */
const IDLE_TOO_LONG = '25P03'
const TOOK_TOO_LONG = '57014'

function leadsNowhere(error: unknown): boolean {
  const code = codeOf(error)
  return /^(08|57P)/.test(code) || code === READ_ONLY || code === IDLE_TOO_LONG
}

/** No room for one more connection, no memory, or a statement that its timeout ended. */
function isBusy(error: unknown): boolean {
  const code = codeOf(error)
  return code.startsWith('53') || code === TOOK_TOO_LONG
}

function codeOf(error: unknown): string {
  return error instanceof pg.DatabaseError ? (error.code ?? '') : ''
}
