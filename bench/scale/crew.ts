import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { treeCpuSeconds } from './cpu.ts'

/** Processes with workers in them, and what they tell. */

/** What a process of a crew is told when it starts: one argument, as JSON. */
export interface CrewOrder {
  databaseUrl: string
  redisUrl: string
  workers: number
}

export interface CrewReport {
  /** Every run: number of the task, and when it began, in milliseconds since 1970. */
  runs: { number: number; at: number }[]
  /** Statements sent to PostgreSQL, `begin` and `commit` included. */
  statements: number
}

/** What a process of a crew sends by itself. */
export type CrewNews = { ready: true } | { ran: number } | { report: CrewReport }

export interface Crew extends AsyncDisposable {
  /** Resolves when so many tasks have run since the start. */
  untilRan(count: number): Promise<void>
  report(): Promise<CrewReport>
  cpuSeconds(): number
}

/** Of channels in Redis: crew and those who ring for it. */
export const BENCH_PREFIX = 'bench:'

/** Two cores gain nothing from more. */
const MOST_PROCESSES = 8

export async function startCrew(script: string, order: CrewOrder): Promise<Crew> {
  const processes = Math.min(order.workers, MOST_PROCESSES)
  const share = (index: number): number => Math.floor((order.workers + index) / processes)
  const members = Array.from({ length: processes }, (_, index) =>
    fork(script, [JSON.stringify({ ...order, workers: share(index) })]),
  )
  await Promise.all(members.map((member) => told(member, 'ready')))
  const ran = members.map(() => 0)
  let seen = (): void => {}
  for (const [index, member] of members.entries()) {
    member.on('message', (news: CrewNews) => {
      if ('ran' in news) ran[index] = news.ran
      seen()
    })
  }
  return {
    async untilRan(count) {
      while (ran.reduce((sum, each) => sum + each, 0) < count) {
        await new Promise<void>((resolve) => (seen = resolve))
      }
    },
    async report() {
      const reports = await Promise.all(
        members.map(async (member) => {
          member.send('report')
          return await told(member, 'report')
        }),
      )
      return {
        runs: reports.flatMap(({ runs }) => runs),
        statements: reports.reduce((sum, { statements }) => sum + statements, 0),
      }
    },
    cpuSeconds: () => members.reduce((sum, { pid }) => sum + treeCpuSeconds(pid ?? 0), 0),
    async [Symbol.asyncDispose]() {
      await Promise.all(
        members.map(async (member) => {
          const gone = once(member, 'exit')
          member.disconnect()
          await gone
        }),
      )
    },
  }
}

type News<K extends 'ready' | 'report'> = Extract<CrewNews, Record<K, unknown>>

async function told<K extends 'ready' | 'report'>(
  member: ChildProcess,
  what: K,
): Promise<News<K>[K]> {
  return await new Promise((resolve, reject) => {
    const gone = (): void => reject(new Error('a process of the crew ended'))
    const hear = (news: CrewNews): void => {
      if (!(what in news)) return
      member.off('message', hear).off('exit', gone)
      resolve((news as News<K>)[what])
    }
    member.on('message', hear).once('exit', gone)
  })
}
