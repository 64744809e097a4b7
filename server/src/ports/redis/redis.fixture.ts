import { once } from 'node:events'
import { pino } from 'pino'
import { openRedis, type RedisLink } from './redis.ts'

export interface LinkUnderTest {
  link: RedisLink
  /** Messages of the log. */
  logs: string[]
}

/** A link that is up. */
export async function aLink(url: string, keyPrefix = 'test:'): Promise<LinkUnderTest> {
  const under = aLinkToNowhere(url, keyPrefix)
  const { commands, subscriptions } = under.link
  await Promise.all([once(commands, 'ready'), once(subscriptions, 'ready')])
  return under
}

/** A link to whatever is at this URL, or is not. */
export function aLinkToNowhere(url: string, keyPrefix = 'test:'): LinkUnderTest {
  const logs: string[] = []
  const log = pino(
    { level: 'info' },
    { write: (line: string) => void logs.push((JSON.parse(line) as { msg: string }).msg) },
  )
  return { link: openRedis({ url, keyPrefix }, log), logs }
}
