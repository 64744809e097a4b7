import pg from 'pg'
import { instant } from './cpu.ts'
import type { CrewNews, CrewOrder, CrewReport } from './crew.ts'

/** What the processes of every crew have in common. */

const NEWS_MS = 10

export const order = JSON.parse(process.argv[2] ?? '{}') as CrewOrder

const report: CrewReport = { runs: [], statements: 0 }

export function ran(number: number): void {
  report.runs.push({ number, at: instant() })
}

/** Tells the others that work can begin, and ends with them. */
export function begin(end: () => Promise<void>): void {
  let told = 0
  const telling = setInterval(() => {
    if (report.runs.length > told) tell({ ran: (told = report.runs.length) })
  }, NEWS_MS)
  process.on('message', () => tell({ report }))
  process.on('disconnect', () => {
    clearInterval(telling)
    void end().finally(() => process.exit())
  })
  tell({ ready: true })
}

function tell(news: CrewNews): void {
  process.send?.(news)
}

const query: unknown = Object.getOwnPropertyDescriptor(pg.Client.prototype, 'query')?.value
pg.Client.prototype.query = function (this: pg.Client, ...args: unknown[]) {
  report.statements += 1
  return Reflect.apply(query as () => unknown, this, args)
} as pg.Client['query']
