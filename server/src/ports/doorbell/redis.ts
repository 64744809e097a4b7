import { setTimeout as sleep } from 'node:timers/promises'
import { newId } from '../ids.ts'
import type { RedisLink } from '../redis/redis.ts'
import { BELLS, type Bell, type Doorbell } from './doorbell.ts'
import { inProcessDoorbell } from './in-process.ts'

/** How long closing waits for the last rings to be sent. */
const LAST_RINGS_MS = 500

/**
 * Reaches every process that is connected to the same Redis, by publish and subscribe. While Redis is away, rings are
 * heard in this process at once, and by the others, once each, when it is back.
 */
export function redisDoorbell(redis: RedisLink): Doorbell {
  const local = inProcessDoorbell()
  const self = newId()
  /** All that is kept for a Redis that is away: which bells have rung. */
  const unsent = new Set<Bell>()
  let sending: Promise<void> | null = null
  let isClosed = false
  let hasListened = false

  redis.commands.on('ready', send)
  redis.subscriptions.on('ready', listen)
  redis.subscriptions.on('message', hear)

  /** One at a time: rings meanwhile become one. */
  function send(): void {
    sending ??= sendAll()
      .catch(() => {}) // They stay unsent until it is back.
      .finally(() => (sending = null))
  }

  async function sendAll(): Promise<void> {
    for (let [bell] = unsent; bell !== undefined; [bell] = unsent) {
      // Before it is sent: a ring from now on is about something newer.
      unsent.delete(bell)
      try {
        await redis.commands.publish(channelOf(bell), self)
      } catch (error) {
        unsent.add(bell)
        throw error
      }
    }
  }

  function listen(): void {
    redis.subscriptions.subscribe(...BELLS.map(channelOf)).then(catchUp, () => {
      // The connection is lost again, or Redis forbids it: the next one tries anew, and regular looks go on.
    })
  }

  /** Whoever was deaf for a while looks once at everything. */
  function catchUp(): void {
    if (hasListened) for (const bell of BELLS) local.ring(bell)
    hasListened = true
  }

  function hear(channel: string, sender: string): void {
    const bell = BELLS.find((each) => channelOf(each) === channel)
    if (bell !== undefined && sender !== self) local.ring(bell)
  }

  function channelOf(bell: Bell): string {
    return `${redis.prefix}bell:${bell}`
  }

  return {
    ring(bell) {
      if (isClosed) return
      local.ring(bell)
      unsent.add(bell)
      send()
    },
    onRing: (bell, listener) => local.onRing(bell, listener),
    async close() {
      isClosed = true
      await local.close()
      const deadline = performance.now() + LAST_RINGS_MS
      while (unsent.size > 0 || sending !== null) {
        if (performance.now() > deadline) break
        await sleep(10)
      }
      redis.commands.off('ready', send)
      redis.subscriptions.off('ready', listen)
      redis.subscriptions.off('message', hear)
    },
  }
}
