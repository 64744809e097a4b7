import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createBullBoard } from '@bull-board/api'
import type {
  AppControllerRoute,
  AppViewRoute,
  BullBoardQueues,
  IServerAdapter,
  UIConfig,
} from '@bull-board/api/typings/app'
import type { Database } from '../db/database.ts'
import { AppError } from '../errors.ts'
import type { Clock } from '../ports/clock.ts'
import { LANES, type Lane } from '../tasks/task.ts'
import { TaskQueue } from './task-queue.ts'

/** Bull Board on our tasks. */
export interface Board {
  /** The page, whatever the view. */
  page(): Promise<string>
  /** What the page asks for at `/api/…`. Throws `not_found` for what nobody can be asked. */
  answer(path: string, query: Record<string, unknown>): Promise<{ status: number; body: unknown }>
}

const CONFIG: UIConfig = {
  boardTitle: 'Videoflix tasks',
  miscLinks: [{ text: 'Administration', url: '/admin/' }],
  hideDocsLink: true,
  hideRedisDetails: true,
  showMetrics: false,
  showWorkers: false,
  sortQueues: false,
}

/** Made, with its library, when somebody looks: most never do. */
export function createBoard(needs: { db: Database; clock: Clock; basePath: string }): Board {
  const queues = (Object.keys(LANES) as Lane[]).map((lane) => new TaskQueue(needs, lane))
  const parts = new BoardParts()
  createBullBoard({ queues, serverAdapter: parts, options: { uiConfig: CONFIG } })
  const readers = parts.routes
    .filter(({ method }) => [method].flat().includes('get'))
    .flatMap((reader) =>
      [reader.route].flat().map((pathname) => ({ pattern: new URLPattern({ pathname }), reader })),
    )

  return {
    async page() {
      const { name, params } = parts.entry!.handler({
        basePath: needs.basePath,
        uiConfig: parts.config,
      })
      const template = await readFile(join(parts.views, name), 'utf8')
      return fill(template, params)
    },

    async answer(path, query) {
      for (const { pattern, reader } of readers) {
        const match = pattern.exec({ pathname: path })
        if (!match) continue
        const params = match.pathname.groups
        const about = {
          queues: parts.queues,
          uiConfig: parts.config,
          params,
          headers: {},
          body: {},
        }
        const { status = 200, body } = await reader.handler({ ...about, query })
        return { status, body }
      }
      throw new AppError('not_found', 'Not found.')
    },
  }
}

/** What Bull Board tells the server that is to show it. */
class BoardParts implements IServerAdapter {
  queues: BullBoardQueues = new Map()
  routes: AppControllerRoute[] = []
  entry: AppViewRoute | undefined
  config: UIConfig = {}
  views = ''

  setQueues(queues: BullBoardQueues): this {
    this.queues = queues
    return this
  }
  setApiRoutes(routes: AppControllerRoute[]): this {
    this.routes = routes
    return this
  }
  setEntryRoute(entry: AppViewRoute): this {
    this.entry = entry
    return this
  }
  setUIConfig(config: UIConfig): this {
    this.config = config
    return this
  }
  setViewsPath(views: string): this {
    this.views = views
    return this
  }
  // Our routes and our errors.
  setStaticPath(): this {
    return this
  }
  setErrorHandler(): this {
    return this
  }
}

/** Their template, which needs no more of EJS than this, without fonts from elsewhere and with a script of ours. */
function fill(template: string, params: Record<string, string>): string {
  return template
    .replace(/<link href="https:[^>]*>/g, '')
    .replace('</body>', '<script defer src="/assets/task-board.js"></script></body>')
    .replace(/<%[-=] (\w+) %>/g, (_all, name: string) => params[name] ?? '')
}
