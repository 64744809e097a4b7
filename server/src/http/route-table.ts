import type { RouteOptions } from 'fastify'
import type { Access } from './authentication.ts'

export interface RouteEntry {
  method: string
  path: string
  access: Access
}

/** All routes of the server, to tell a wrong method from a wrong path, and for tests to walk. */
export class RouteTable {
  readonly entries: RouteEntry[] = []
  readonly #patterns = new Map<string, RegExp>()

  add(route: RouteOptions): void {
    const access = route.config?.access
    for (const method of [route.method].flat()) {
      if (method === 'OPTIONS') continue
      if (!access) throw new Error(`${method} ${route.url} does not say who may call it`)
      this.entries.push({ method, path: route.url, access })
      this.#patterns.set(route.url, patternOf(route.url))
    }
  }

  /** The routes that a path has, whatever the method. */
  at(path: string): RouteEntry[] {
    return this.entries.filter((entry) => this.#patterns.get(entry.path)?.test(path))
  }
}

/** `/content/:id/` and `/media/*`, as find-my-way reads them. */
function patternOf(url: string): RegExp {
  const source = url
    .replace(/[.+?^${}()|[\]\\]/g, String.raw`\$&`)
    .replace(/\\\(.*?\\\)/g, '')
    .replace(/:[A-Za-z]+/g, '[^/]+')
    .replace(/\*/g, '.*')
  return new RegExp(`^${source}$`)
}
