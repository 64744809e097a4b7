import { setTimeout as sleep } from 'node:timers/promises'
import { Redis, type Command, type RedisOptions } from 'ioredis'
import type { Logger } from 'pino'
import { AppError } from '../../errors.ts'

/**
 * The way to a Redis that may be slow, empty or gone at any time, and comes back by itself. One line in the log says
 * when it is gone and one when it is back.
 */
export interface RedisLink {
  /** For commands. They fail at once while Redis is away, and within 50 ms when it does not answer. */
  readonly commands: Redis
  /** For subscriptions, which every `ready` has lost. */
  readonly subscriptions: Redis
  /** Before the name of every key and channel: ours, and of this database (channels are common to all). */
  readonly prefix: string
  /** Host and port, to be shown. */
  readonly address: string
  /** Throws `unavailable` when it does not answer: within a second, or at once while it is known to be gone. */
  check(): Promise<void>
  /** Such as `7.0.15`. Throws `unavailable`. */
  version(): Promise<string>
  /** Ends both connections at once. */
  close(): void
}

/** What a request may lose by a Redis that hangs. */
const COMMAND_TIMEOUT_MS = 50
/** Whoever is subscribed waits for nothing: a machine that is busy for a moment loses no subscription. */
const SUBSCRIPTION_TIMEOUT_MS = 2000
const HEARTBEAT_MS = 5000
const LONGEST_BACK_OFF_MS = 2000
/** Shorter absences are nobody's business. */
const TOLD_AFTER_MS = 1000
const CHECK_MS = 1000

export function openRedis(settings: { url: string; keyPrefix: string }, log: Logger): RedisLink {
  const commands = connect(settings.url, COMMAND_TIMEOUT_MS)
  const subscriptions = connect(settings.url, SUBSCRIPTION_TIMEOUT_MS)
  const { host, port, path, db } = commands.options
  const address = path ?? `${host}:${port}`
  const absence = tellOfAbsence(commands, address, log)
  // A connection whose other end has vanished stays open until somebody writes to it.
  const heartbeat = setInterval(() => {
    for (const redis of [commands, subscriptions]) {
      if (redis.status === 'ready') redis.ping().catch(() => {})
    }
  }, HEARTBEAT_MS).unref()

  async function ask<T>(question: () => Promise<T>): Promise<T> {
    const deadline = performance.now() + CHECK_MS
    for (;;) {
      try {
        return await question()
      } catch (cause) {
        if (absence.isTold() || performance.now() > deadline) {
          throw new AppError('unavailable', `Redis at ${address} does not answer.`, { cause })
        }
        await sleep(COMMAND_TIMEOUT_MS)
      }
    }
  }

  return {
    commands,
    subscriptions,
    prefix: `${settings.keyPrefix}${db ?? 0}:`,
    address,
    check: async () => void (await ask(() => commands.ping())),
    async version() {
      const facts = await ask(() => commands.info('server'))
      return /^redis_version:(\S+)/m.exec(facts)?.[1] ?? 'unknown'
    },
    close() {
      clearInterval(heartbeat)
      absence.stop()
      commands.disconnect()
      subscriptions.disconnect()
    },
  }
}

function connect(url: string, patienceMs: number): Redis {
  const options: RedisOptions = {
    // Connecting sends commands, for which our own fields must be there.
    lazyConnect: true,
    connectTimeout: 2000,
    disconnectTimeout: 500,
    // What cannot be said now is said otherwise or later; nothing piles up.
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    maxRetriesPerRequest: 0,
    connectionName: 'videoflix',
    retryStrategy: (times) =>
      Math.min(LONGEST_BACK_OFF_MS, 50 * 2 ** times) * (0.75 + Math.random() / 4),
  }
  const redis = new ImpatientRedis(url, options, patienceMs)
  // Whether it is there is seen by its state; an error that nobody listens to would end the process.
  redis.on('error', () => {})
  redis.connect().catch(() => {})
  return redis
}

/** Hangs up on a server that does not answer in time: the next command fails at once instead of waiting as well. */
class ImpatientRedis extends Redis {
  readonly #patienceMs: number

  constructor(url: string, options: RedisOptions, patienceMs: number) {
    super(url, options)
    this.#patienceMs = patienceMs
  }

  override sendCommand(command: Command, stream?: Parameters<Redis['sendCommand']>[1]): unknown {
    let isAnswered = false
    const giveUp = (): void => {
      if (isAnswered) return
      command.reject(new Error('no answer in time'))
      if (this.status === 'ready') this.disconnect(true)
    }
    // If it was we who were busy, the answer is there by now: it is read before what is immediate. So `commandTimeout`
    // will not do.
    const timer = setTimeout(() => setImmediate(giveUp), this.#patienceMs).unref()
    const answered = (): void => {
      isAnswered = true
      clearTimeout(timer)
    }
    command.promise.then(answered, answered)
    return super.sendCommand(command, stream)
  }
}

function tellOfAbsence(redis: Redis, address: string, log: Logger) {
  let reason = 'no answer'
  let isTold = false
  let timer: NodeJS.Timeout | undefined

  function missed(): void {
    timer ??= setTimeout(() => {
      isTold = true
      log.warn(`Redis at ${address} is away (${reason}): going on without it`)
    }, TOLD_AFTER_MS).unref()
  }

  function found(): void {
    clearTimeout(timer)
    timer = undefined
    if (isTold) log.info(`Redis at ${address} is back`)
    isTold = false
  }

  missed()
  redis.on('close', missed)
  redis.on('ready', found)
  // The message alone: the error also holds the command, which may be AUTH.
  redis.on('error', ({ message }: Error) => (reason = message))
  return {
    isTold: () => isTold,
    stop() {
      redis.off('close', missed)
      clearTimeout(timer)
    },
  }
}
